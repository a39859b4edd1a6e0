import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Run } from "../../events/run.ts";
import { replay } from "../../runs/follow.ts";
import type { LiveRun } from "../../runs/live-run.ts";
import { type RunEnvelope, wireOf } from "../../runs/run-log.ts";
import { errorResponses } from "../describe.ts";
import { fromZod } from "../errors.ts";
import { optionalIdentifier } from "../identifiers.ts";
import { looseFields } from "../loose-fields.ts";
import { wireStatus } from "../present.ts";
import { runOf, runPath } from "../run-lookup.ts";
import { resumedEventSchema } from "../schemas.ts";
import { ownerOf, type Served } from "../served.ts";
import { controlFrame, eventFrames, eventStream, streamHeaders } from "../sse.ts";
import { streamLife } from "../usage/start-run.ts";

const cursor = z
  .union([
    z.literal("").transform(() => undefined),
    z.null().transform(() => undefined),
    z.coerce.number().int().min(-1),
  ])
  .optional();

const fields = z.strictObject({
  last_event_index: cursor,
  session_id: optionalIdentifier,
  user_id: optionalIdentifier,
});

const request = {
  params: runPath,
  query: z.object({
    last_event_index: z.string().optional().openapi({ type: "integer", description: "-1 or absent: all." }),
    session_id: z.string().optional(),
    user_id: z.string().optional(),
  }),
};

const describe = {
  path: "/agents/{agent_id}/runs/{run_id}/resume" as const,
  tags: ["Runs"] as string[],
  description:
    "Every event after the last one that the reader has, each once and in order; then what comes. The index may also be " +
    "in the body, or in the header `Last-Event-ID`. `catch_up`, `replay` and `subscribed` are no events of the run.",
};

const events = {
  description: "The events.",
  content: { "text/event-stream": { schema: resumedEventSchema } },
};

const resumeByPost = createRoute({
  ...describe,
  method: "post",
  operationId: "resume_run",
  summary: "Take up the stream of a run again",
  request,
  responses: { 200: events, ...errorResponses(404, 413, 415, 422, 503) },
});

const resumeByGet = createRoute({
  ...describe,
  method: "get",
  operationId: "resume_run_by_get",
  summary: "Take up the stream of a run again, as EventSource does",
  request,
  responses: {
    200: events,
    204: { description: "The run has ended, and the reader has all of it: an EventSource stops." },
    ...errorResponses(404, 422, 503),
  },
});

/** Resuming a stream: by POST as clients of the original do, by GET as a browser does by itself. */
export function resumeRoutes(app: OpenAPIHono, served: Served): void {
  app.openAPIRegistry.registerPath(resumeByPost);
  app.openAPIRegistry.registerPath(resumeByGet);
  app.on(["GET", "POST"], "/agents/:agent_id/runs/:run_id/resume", (c) => resume(served, c));
}

async function resume(served: Served, c: Context): Promise<Response> {
  const {
    last_event_index = -1,
    session_id,
    user_id,
  } = await looseFields(c, fields, served.limits, {
    last_event_index: c.req.header("last-event-id"),
  });
  const path = runPath.safeParse(c.req.param());
  if (!path.success) throw fromZod(path.error, "path", c.req.param());
  const { agent, store, run } = await runOf(served, c, { ...path.data, session_id, user_id });

  const answer = async (frames: () => AsyncGenerator<string, void, void>) => {
    // Nobody would read a stream, nor cancel it.
    if (c.req.method === "HEAD") return c.body(null, 200, streamHeaders);
    const life = await streamLife(served, c, ownerOf(c, user_id));
    return c.body(eventStream(frames(), undefined, life), 200, streamHeaders);
  };
  const live = served.runner.live(run.run_id);
  if (live) return answer(() => liveFrames(live, last_event_index));
  const end = run.last_event_index;
  const byBrowser = c.req.method !== "POST";
  // The last events of a foreground run that a crash ended were sent, but not stored: its reader may be ahead of the log,
  // and still has to learn how it ended.
  const isAhead = run.error_type === "server_stopped" && last_event_index >= (byBrowser ? end + 1 : end);
  if (byBrowser && last_event_index >= end && !isAhead) return c.body(null, 204);
  return answer(() => replayFrames(run, isAhead ? end - 1 : Math.min(last_event_index, end), served));

  async function* replayFrames({ run_id, status }: Run, after: number, { agnoCompat }: Served) {
    const shown = wireStatus(status, { agnoCompat });
    yield controlFrame("replay", {
      run_id,
      status: shown,
      total_events: end - after,
      total_buffered: end + 1,
      last_event_index_requested: last_event_index,
      message: `The run is ${shown}. ${end - after} of ${end + 1} events follow.`,
    });
    yield* eventFrames(replay(store, run_id, after), wireOf(envelopeOf(run, agent.name)));
  }
}

/** A run that is under way here: what was missed, then what comes. */
async function* liveFrames(run: LiveRun, after: number): AsyncGenerator<string, void, void> {
  const { runId, log } = run;
  const count = log.nextIndex;
  if (after >= count) {
    yield controlFrame("error", {
      run_id: runId,
      error: `The run has ${count} events so far: there is none with the index ${after}. Resume from a smaller one.`,
    });
    return;
  }
  if (after < count - 1) {
    yield controlFrame("catch_up", {
      run_id: runId,
      status: run.fold.status,
      missed_events: count - 1 - after,
      current_event_count: count,
    });
  }
  yield controlFrame("subscribed", { run_id: runId, status: run.fold.status, current_event_count: count });
  yield* eventFrames(run.follow(after), log.toWire);
}

function envelopeOf(run: Run, agentName: string | undefined): RunEnvelope {
  return {
    agent_id: run.agent_id,
    ...(agentName === undefined ? {} : { agent_name: agentName }),
    run_id: run.run_id,
    session_id: run.session_id,
  };
}
