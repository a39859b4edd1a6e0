import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { RunPreview, SessionRuns } from "../../db/records.ts";
import type { Store } from "../../db/store.ts";
import { NotFoundError } from "../../errors.ts";
import { type RunStatus, runStatuses } from "../../events/run.ts";
import { refuseOtherDatabase } from "../database-id.ts";
import { jsonResponse } from "../describe.ts";
import { identifier, optionalIdentifier } from "../identifiers.ts";
import { isoTime, presentListedRun, readerOf, wireStatus } from "../present.ts";
import { runListQuery, runPage, runTimeQuery } from "../run-lists.ts";
import { listedRunSchema } from "../schemas.ts";
import { agentOf, type Served, storeOf, userOf } from "../served.ts";
import { refuseOtherType, sessionPath, sessionQuery } from "../session-fields.ts";
import { runPreviewSchema } from "../session-schemas.ts";

const tags = ["Sessions"];

const listQuery = sessionQuery.extend({ ...runListQuery, ...runTimeQuery });

const paging =
  "Oldest first: the newest 100, or as many as `limit` says. `Link: rel=next` leads to those before. " +
  "With agnoCompat all that have begun to be answered.";

const listSessionRuns = createRoute({
  method: "get",
  path: "/sessions/{session_id}/runs",
  operationId: "list_session_runs",
  summary: "List the runs of a session",
  description: paging,
  tags,
  request: { params: sessionPath, query: listQuery },
  responses: jsonResponse("The runs.", z.array(listedRunSchema), 404, 422, 503),
});

const previewSessionRuns = createRoute({
  method: "get",
  path: "/sessions/{session_id}/run-previews",
  operationId: "list_session_run_previews",
  summary: "List the runs of a session in short",
  description: paging,
  tags,
  request: { params: sessionPath, query: listQuery },
  responses: jsonResponse("The runs in short.", z.array(runPreviewSchema), 404, 422, 503),
});

const getSessionRun = createRoute({
  method: "get",
  path: "/sessions/{session_id}/runs/{run_id}",
  operationId: "get_session_run",
  summary: "Get a run of a session",
  description: "As it stands now.",
  tags,
  request: { params: sessionPath.extend({ run_id: identifier }), query: sessionQuery },
  responses: jsonResponse("The run.", listedRunSchema, 404, 422, 503),
});

const fork = createRoute({
  method: "post",
  path: "/agents/{agent_id}/sessions/{session_id}/fork",
  operationId: "fork_session",
  summary: "Make a new session of a session's runs",
  description:
    "Runs that have ended are copied, with their messages, events and files. From then on neither is anything to the other.",
  tags,
  request: {
    params: sessionPath.extend({ agent_id: identifier.openapi({ example: "copilot" }) }),
    query: z.object({
      user_id: optionalIdentifier.openapi({
        description: "The session must be this user's, else it is 404.",
      }),
      up_to_run_id: optionalIdentifier.openapi({
        description: "The last run that is taken along; all where absent.",
      }),
    }),
  },
  responses: jsonResponse(
    "The new session.",
    z.object({ session_id: z.string(), forked_from_session_id: z.string() }).openapi("SessionFork", {
      example: { session_id: "019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11", forked_from_session_id: "thread-42" },
    }),
    404,
    409,
    422,
    503,
  ),
});

/** Characters of an answer that a preview shows. */
const previewLength = 200;

const underWay: readonly RunStatus[] = ["pending", "running"];
const others = runStatuses.filter((status) => !underWay.includes(status));

/** The runs of a session, and new sessions that are made of them. */
export function sessionRunRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(listSessionRuns, async (c): Promise<Response> => {
    const { store, read } = await runsOf(c, c.req.valid("param").session_id, c.req.valid("query"));
    const page = await read((filter) => store.runs.ofSession(filter));
    const reader = readerOf(c);
    return c.json(page.map(({ run }) => presentListedRun(run, served, reader)));
  });

  app.openapi(previewSessionRuns, async (c): Promise<Response> => {
    const { store, read } = await runsOf(c, c.req.valid("param").session_id, c.req.valid("query"));
    return c.json((await read((filter) => store.runs.previews(filter))).map(presentPreview));
  });

  app.openapi(getSessionRun, async (c): Promise<Response> => {
    const { session_id, run_id } = c.req.valid("param");
    const { store } = await ownSession(c, session_id, c.req.valid("query"));
    const found = await store.runs.get({ runId: run_id, sessionId: session_id });
    if (!found) throw new NotFoundError(`Run with ID ${run_id} not found in session ${session_id}`);
    // A run that is under way here is further than its row, which is as of the last checkpoint.
    const run = served.runner.live(run_id)?.toRun() ?? found.run;
    return c.json(presentListedRun(run, served, readerOf(c)));
  });

  app.openapi(fork, async (c): Promise<Response> => {
    const { agent_id, session_id } = c.req.valid("param");
    const { user_id, up_to_run_id } = c.req.valid("query");
    const agent = agentOf(served, agent_id);
    const store = await storeOf(served, c, user_id);
    const userId = userOf(c, user_id);
    const forked = await store.sessions.fork({
      sessionId: session_id,
      agentId: agent.id,
      ...(userId !== undefined && { userId }),
      ...(up_to_run_id !== undefined && { upToRunId: up_to_run_id }),
    });
    return c.json({ session_id: forked, forked_from_session_id: session_id });
  });

  async function ownSession(c: Context, sessionId: string, query: z.output<typeof sessionQuery>) {
    refuseOtherDatabase(served, query.db_id);
    refuseOtherType(query.type, sessionId);
    const store = await storeOf(served, c, query.user_id);
    const userId = userOf(c, query.user_id);
    const ref = { sessionId, ...(userId !== undefined && { userId }) };
    if (!(await store.sessions.has(ref))) throw new NotFoundError(`Session with ID ${sessionId} not found`);
    return { store };
  }

  async function runsOf(c: Context, sessionId: string, query: z.output<typeof listQuery>) {
    const { store } = await ownSession(c, sessionId, query);
    const fields = served.agnoCompat ? { ...query, status: (query.status ?? others).filter(isOther) } : query;
    const read = async <T extends { order: number }>(page: (filter: SessionRuns) => Promise<T[]>) => {
      const runs =
        fields.status?.length === 0
          ? []
          : await runPage(c, fields, served.agnoCompat, (filter) => page({ ...filter, sessionId }));
      if (runs.length === 0 && served.agnoCompat) await refuseUnanswered(store, sessionId);
      return runs;
    };
    return { store, read };
  }

  function presentPreview(run: RunPreview) {
    const content = typeof run.content === "string" ? run.content : JSON.stringify(run.content);
    return {
      run_id: run.runId,
      parent_run_id: run.parentRunId ?? "",
      agent_id: run.agentId,
      user_id: run.userId ?? null,
      status: wireStatus(run.status, served),
      run_input: run.input,
      content_preview: [...content.slice(0, 2 * previewLength)].slice(0, previewLength).join(""),
      created_at: isoTime(run.createdAt),
    };
  }
}

function isOther(status: RunStatus): boolean {
  return others.includes(status);
}

/** The original stores a session with its first run, at its end: until then it has none. */
async function refuseUnanswered(store: Store, sessionId: string): Promise<void> {
  if ((await store.runs.any(sessionId, underWay)) && !(await store.runs.any(sessionId, others))) {
    throw new NotFoundError(`Session with ID ${sessionId} not found`);
  }
}
