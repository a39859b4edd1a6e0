import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { jsonResponse } from "../describe.ts";
import { identifier, optionalIdentifier } from "../identifiers.ts";
import { presentListedRun, presentRun, readerOf } from "../present.ts";
import { runListQuery, runPage } from "../run-lists.ts";
import { runOf, runPath } from "../run-lookup.ts";
import { listedRunSchema, runSchema } from "../schemas.ts";
import { agentOf, type Served, storeOf, userOf } from "../served.ts";

const agentPath = z.object({ agent_id: identifier.openapi({ example: "copilot" }) });

const listRuns = createRoute({
  method: "get",
  path: "/agents/{agent_id}/runs",
  operationId: "list_runs",
  summary: "List the runs of a session",
  description:
    "Oldest first: the newest 100, or as many as `limit` says. `Link: rel=next` leads to those before.",
  tags: ["Runs"],
  request: {
    params: agentPath,
    query: z.object({
      session_id: identifier,
      user_id: optionalIdentifier,
      ...runListQuery,
    }),
  },
  responses: jsonResponse("The runs.", z.array(listedRunSchema), 404, 422, 503),
});

const getRun = createRoute({
  method: "get",
  path: "/agents/{agent_id}/runs/{run_id}",
  operationId: "get_run",
  summary: "Get a run",
  description: "As it stands now. A session or user that is given must be the run's, else it is 404.",
  tags: ["Runs"],
  request: {
    params: runPath,
    query: z.object({ session_id: optionalIdentifier, user_id: optionalIdentifier }),
  },
  responses: jsonResponse("The run.", runSchema, 404, 422, 503),
});

/** Listing and reading runs. */
export function runRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(listRuns, async (c): Promise<Response> => {
    const agent = agentOf(served, c.req.valid("param").agent_id);
    const { session_id, user_id, ...fields } = c.req.valid("query");
    const store = await storeOf(served, c, user_id);
    const userId = userOf(c, user_id);
    const page = await runPage(c, fields, served.agnoCompat, (filter) =>
      store.runs.ofSession({
        ...filter,
        sessionId: session_id,
        agentId: agent.id,
        ...(userId !== undefined && { userId }),
      }),
    );
    const reader = readerOf(c);
    return c.json(page.map(({ run }) => presentListedRun(run, served, reader)));
  });

  app.openapi(getRun, async (c): Promise<Response> => {
    const { agent_id, run_id } = c.req.valid("param");
    const { session_id, user_id } = c.req.valid("query");
    const found = await runOf(served, c, { agent_id, run_id, session_id, user_id });
    // A run that is under way here is further than its row, which is as of the last checkpoint.
    const run = served.runner.live(run_id)?.toRun() ?? found.run;
    return c.json({ ...presentRun(run, served, readerOf(c)), events: [] });
  });
}
