import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Store } from "../../db/store.ts";
import { InvalidRequestError, NotFoundError } from "../../errors.ts";
import {
  followSession,
  runsToFollow,
  type SessionStart,
  type SessionStretch,
} from "../../runs/follow-session.ts";
import { wireOf } from "../../runs/run-log.ts";
import type { StreamLife } from "../auth/open-streams.ts";
import { errorResponses } from "../describe.ts";
import { optionalIdentifier } from "../identifiers.ts";
import { envelopeOf } from "../run-stream.ts";
import { runEventSchema } from "../schemas.ts";
import { maySee, ownerOf, type Served, storeOf, userOf } from "../served.ts";
import { sessionPath } from "../session-fields.ts";
import { eventStream, streamHeaders } from "../sse.ts";
import { streamLife } from "../usage/submit-run.ts";

const streamSession = createRoute({
  method: "get",
  path: "/sessions/{session_id}/stream",
  operationId: "stream_session",
  summary: "Follow a session",
  description:
    "The events of whatever runs in the session: the run under way from its start, then the next ones. Runs that are live " +
    "side by side come interleaved, told apart by `run_id`. A frame's `id` is `<run_id>:<event_index>`, and with several " +
    "runs all of these, with commas between, the event's own first; the header `Last-Event-ID` takes it back.",
  tags: ["Sessions"],
  request: {
    params: sessionPath,
    query: z.object({
      user_id: optionalIdentifier,
      wait: z.enum(["true", "false"]).optional().openapi({
        description: "Whether the stream stays open when nothing runs. Default false.",
      }),
      last_event_id: z
        .string()
        .optional()
        .openapi({ description: "The same as the header `Last-Event-ID`, which wins." }),
    }),
  },
  responses: {
    200: { description: "The events.", content: { "text/event-stream": { schema: runEventSchema } } },
    204: { description: "Nothing runs, and there is nothing that the reader has not had." },
    ...errorResponses(404, 422, 503),
  },
});

/** Which session is followed, from where, and how long. */
interface Followed {
  store: Store;
  sessionId: string;
  from: SessionStart;
  wait: boolean;
  life: StreamLife | undefined;
}

/** Following a session, by nothing but its id. */
export function sessionStreamRoute(app: OpenAPIHono, served: Served): void {
  app.openapi(streamSession, async (c): Promise<Response> => {
    const { session_id } = c.req.valid("param");
    const { user_id, wait, last_event_id } = c.req.valid("query");
    const store = await storeOf(served, c, user_id);
    const userId = userOf(c, user_id);
    const session = await store.sessions.get({
      sessionId: session_id,
      ...(userId !== undefined && { userId }),
    });
    if (!session) throw new NotFoundError("Session not found");
    const from = await startOf(store, session_id, c.req.header("last-event-id") || last_event_id || "");
    const waits = wait === "true";
    if (!waits) {
      const { runs, hasMore } = await runsToFollow(store, session_id, from);
      if (runs.length === 0 && !hasMore) return c.body(null, 204);
    }
    if (c.req.method === "HEAD") return c.body(null, 200, streamHeaders);
    const life = await streamLife(served, c, ownerOf(c, user_id));
    return stream(c, { store, sessionId: session_id, from, wait: waits, life });
  });

  function stream(c: Context, { store, sessionId, from, wait, life }: Followed): Response {
    const leave = new AbortController();
    const stretches = followSession({
      store,
      signals: served.db.signals(),
      sessionId,
      from,
      wait,
      signal: AbortSignal.any([leave.signal, served.runner.stopped]),
      follow: (runId, after, signal) => served.runner.follow(store, runId, after, signal),
    });
    return c.body(
      eventStream(sessionFrames(c, stretches, sessionId), () => leave.abort(), life),
      200,
      streamHeaders,
    );
  }

  async function* sessionFrames(
    c: Context,
    stretches: AsyncIterable<SessionStretch>,
    sessionId: string,
  ): AsyncGenerator<string, void, void> {
    const wires = new Map<string, ReturnType<typeof wireOf>>();
    for await (const { run, entries, beside } of stretches) {
      // Several agents may share the session, and the caller may not see all of them.
      if (!maySee(c, run.agentId)) continue;
      const ids = { run_id: run.runId, session_id: sessionId, agent_id: run.agentId };
      const toWire = wires.get(run.runId) ?? wireOf(envelopeOf(served, ids));
      wires.set(run.runId, toWire);
      const others = beside
        .filter((other) => maySee(c, other.run.agentId))
        .map((other) => `,${other.run.runId}:${other.index}`)
        .join("");
      let text = "";
      for (const entry of entries) {
        text += `id: ${run.runId}:${entry.index}${others}\nevent: ${entry.event}\ndata: ${toWire(entry)}\n\n`;
      }
      yield text;
    }
  }
}

/** Where a reader goes on. Of runs that it does not name it gets all that began after the last that it does. */
async function startOf(store: Store, sessionId: string, lastEventId: string): Promise<SessionStart> {
  if (lastEventId.trim() === "") {
    return { after: await store.runs.lastOrder(sessionId), cursors: new Map() };
  }
  const cursors = new Map<string, number>();
  for (const part of lastEventId.split(",").slice(0, 100)) {
    const [, runId, index] = /^\s*([^\s:]{1,128}):(-1|\d{1,9})\s*$/.exec(part) ?? [];
    if (runId === undefined) {
      throw InvalidRequestError.field(
        ["header", "last-event-id"],
        "It must be the id of an event of this stream: <run_id>:<event_index>, or several with commas between",
        { input: lastEventId.slice(0, 300) },
      );
    }
    cursors.set(runId, Number(index));
  }
  const named = await Promise.all([...cursors.keys()].map((runId) => store.runs.inSession(sessionId, runId)));
  const known = named.flatMap((run) => run ?? []);
  for (const runId of cursors.keys()) if (!known.some((run) => run.runId === runId)) cursors.delete(runId);
  const last = known.toSorted((a, b) => a.order - b.order).at(-1);
  if (!last) return { after: await store.runs.lastOrder(sessionId), cursors };
  return { after: last.order, cursors, newest: { run: last, index: cursors.get(last.runId)! } };
}
