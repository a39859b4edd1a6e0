import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { LogStanding } from "../../db/records.ts";
import { LogGoneError } from "../../errors.ts";
import { isSwept, isUnderWay, startIn } from "../../runs/log-standing.ts";
import { wireOf } from "../../runs/run-log.ts";
import { errorResponses } from "../describe.ts";
import { fromZod } from "../errors.ts";
import { optionalIdentifier } from "../identifiers.ts";
import { looseFields } from "../loose-fields.ts";
import { wireStatus } from "../present.ts";
import { runOf, runPath } from "../run-lookup.ts";
import { envelopeOf } from "../run-stream.ts";
import { resumedEventSchema } from "../schemas.ts";
import { ownerOf, type Served } from "../served.ts";
import { controlFrame, eventFrames, eventStream, streamHeaders } from "../sse.ts";
import { streamLife } from "../usage/submit-run.ts";

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
    "in the body, or in the header `Last-Event-ID`, which wins. `catch_up`, `replay` and `subscribed` are no events of the run.",
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
  } = await looseFields(c, fields, served.limits, lastEventOf(c));
  const path = runPath.safeParse(c.req.param());
  if (!path.success) throw fromZod(path.error, "path", c.req.param());
  const { store, run } = await runOf(served, c, { ...path.data, session_id, user_id });
  const { run_id } = run;
  const standing = await served.runner.standing(run_id, last_event_index);
  const isOver = !isUnderWay(standing);
  const start = isOver ? startIn(standing, last_event_index) : last_event_index;
  const hasAll = last_event_index === standing.lastIndex || start === standing.lastIndex;
  if (isOver && hasAll && c.req.method !== "POST") return c.body(null, 204);
  // Nobody would read a stream, nor cancel it.
  if (c.req.method === "HEAD") return c.body(null, 200, streamHeaders);
  const leave = new AbortController();
  const life = await streamLife(served, c, ownerOf(c, user_id));
  const stream = eventStream(frames(), () => leave.abort(), life);
  return c.body(stream, 200, streamHeaders);

  async function* frames(): AsyncGenerator<string, void, void> {
    const refusal = refusalOf(run_id, standing, start);
    if (refusal) {
      yield controlFrame("error", { run_id, ...refusal });
      return;
    }
    if (isOver) yield replayFrame(run_id, standing, { start, asked: last_event_index, served });
    else yield subscribedFrames(run_id, standing, start);
    const events = served.runner.follow(store, run_id, start, leave.signal);
    yield* eventFrames(events, wireOf(envelopeOf(served, run)));
  }
}

/** What a browser says by itself: it comes back to the URL that it began with, which may name an index too. */
function lastEventOf(c: Context): { last_event_index?: string } {
  const id = c.req.header("last-event-id");
  return id ? { last_event_index: id } : {};
}

/** Why a log cannot be read from where a reader wants to, where it cannot. */
function refusalOf(
  runId: string,
  standing: LogStanding,
  start: number,
): { error: string; error_type: string } | undefined {
  const { lastIndex } = standing;
  if (start > lastIndex) {
    return {
      error: `The run has ${lastIndex + 1} events so far: there is none with the index ${start}. Resume from a smaller one.`,
      // A reader that had this event from a server that died may come back until the run is ended.
      error_type: "ahead_of_log",
    };
  }
  if (!isSwept(standing, start)) return undefined;
  const { message, code } = new LogGoneError(runId, "swept");
  return { error: message, error_type: code };
}

/** Before what a run that is under way has said, and what it will say. */
function subscribedFrames(runId: string, { status, lastIndex }: LogStanding, start: number): string {
  const about = { run_id: runId, status };
  const current_event_count = lastIndex + 1;
  const missed_events = lastIndex - start;
  const missed =
    missed_events > 0 ? controlFrame("catch_up", { ...about, missed_events, current_event_count }) : "";
  return missed + controlFrame("subscribed", { ...about, current_event_count });
}

/** Before what a run said that is over. */
function replayFrame(
  runId: string,
  { status, lastIndex }: LogStanding,
  { start, asked, served }: { start: number; asked: number; served: Served },
): string {
  const shown = wireStatus(status, served);
  const [total, count] = [lastIndex - start, lastIndex + 1];
  return controlFrame("replay", {
    run_id: runId,
    status: shown,
    total_events: total,
    total_buffered: count,
    last_event_index_requested: asked,
    message: `The run is ${shown}. ${total} of ${count} events follow.`,
  });
}
