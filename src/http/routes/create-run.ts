import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { busyPolicies } from "../../agent/runner.ts";
import type { Principal } from "../../db/principal.ts";
import { InvalidRequestError, NotFoundError, RunCancelledError, UnavailableError } from "../../errors.ts";
import type { LiveRun } from "../../runs/live-run.ts";
import { isUnderWay } from "../../runs/log-standing.ts";
import { callerFields } from "../auth/caller-fields.ts";
import type { StreamLife } from "../auth/open-streams.ts";
import { readBody } from "../body.ts";
import { errorResponses } from "../describe.ts";
import { idempotencyKey } from "../idempotency.ts";
import { identifier } from "../identifiers.ts";
import { presentRun, readerOf, wireStatus } from "../present.ts";
import { parseRunFields } from "../run-fields.ts";
import { isStreamed, streamRun } from "../run-stream.ts";
import { acceptedRunSchema, runEventSchema, runSchema } from "../schemas.ts";
import { agentOf, principalOf, type Served } from "../served.ts";
import { eventFrames, eventStream, streamHeaders } from "../sse.ts";
import { submitWithin } from "../usage/submit-run.ts";

const agentPath = z.object({ agent_id: identifier.openapi({ example: "copilot" }) });

const objectOrText = z.union([z.record(z.string(), z.unknown()), z.string()]);

const runExample = {
  message: "Summarize this thread",
  stream: false,
  session_id: "thread-42",
  user_id: "sarah@acme.com",
};

/** The body of a new run, for the OpenAPI document; `parseRunFields` is what checks it. */
const runBody = z
  .object({
    message: z
      .string()
      .min(1)
      .openapi({ description: "What the user says.", example: "Summarize this thread" }),
    stream: z.boolean().default(true).openapi({ description: "Server-Sent Events, or one JSON answer." }),
    background: z
      .boolean()
      .default(false)
      .openapi({
        description:
          "Answers 202 once the run is stored; it is done when there is room for it, also by another server. With `stream` " +
          "its events follow; without one it is false here.",
      }),
    on_busy: z
      .enum(busyPolicies)
      .optional()
      .openapi({
        description:
          "When another run of the session is under way: go on side by side, wait for it, be refused with 409, or have it " +
          "cancelled first. Default `parallel`, in background `enqueue`.",
      }),
    cancel_on_disconnect: z
      .boolean()
      .default(false)
      .openapi({ description: "Cancels the run when its caller goes away; else it goes on." }),
    session_id: z
      .string()
      .optional()
      .openapi({ description: "The conversation. A new one where absent.", example: "thread-42" }),
    user_id: z.string().optional().openapi({ description: "Who the run is for.", example: "sarah@acme.com" }),
    session_state: objectOrText.optional().openapi({ description: "Laid over what the session has." }),
    metadata: objectOrText.optional().openapi({ description: "Kept with the run." }),
    dependencies: objectOrText.optional().openapi({ description: "For the agent's tools and instructions." }),
    output_schema: objectOrText
      .optional()
      .openapi({ description: "A JSON schema that the answer must fit." }),
  })
  .openapi("RunRequest", { description: "In a form, objects are sent as JSON text.", example: runExample });

const runForm = z
  .object({
    ...runBody.shape,
    files: z
      .array(z.string().openapi({ format: "binary" }))
      .optional()
      .openapi({ description: "Images, audio, PDF or text for the model." }),
  })
  .openapi("RunRequestForm", { example: runExample });

const createRun = createRoute({
  method: "post",
  path: "/agents/{agent_id}/runs",
  operationId: "create_run",
  summary: "Run an agent",
  description:
    "Streams the run's events, or with `stream=false` answers once it ended. A run goes on when its caller goes away. " +
    "A run that fails is a 200 whose `status` is `error`: the request was fine.",
  tags: ["Runs"],
  request: {
    params: agentPath,
    headers: z.object({
      "idempotency-key": z.string().optional().openapi({
        description:
          "Names the request. Sent again within 24 hours by the same user, it gives the same run instead of another one.",
      }),
    }),
    body: {
      required: true,
      content: {
        "application/json": { schema: runBody },
        "multipart/form-data": { schema: runForm },
        "application/x-www-form-urlencoded": { schema: runBody },
      },
    },
  },
  responses: {
    200: {
      description: "The ended run, or its events.",
      content: { "application/json": { schema: runSchema }, "text/event-stream": { schema: runEventSchema } },
    },
    202: {
      description: "The background run is stored and waits.",
      content: { "application/json": { schema: acceptedRunSchema } },
    },
    ...errorResponses(400, 404, 409, 413, 415, 422, 429, 503),
  },
});

/** To whom a run is answered, and how. */
interface Answer {
  principal: Principal;
  stream: boolean;
  life: StreamLife | undefined;
}

/** Creating a run: in foreground or in background, streamed or not. */
export function createRunRoute(app: OpenAPIHono, served: Served): void {
  // Its body is read by hand: the limit depends on its type, and a file must not be read twice.
  app.openAPIRegistry.registerPath(createRun);
  app.post("/agents/:agent_id/runs", async (c) => {
    const agent = agentOf(served, c.req.param("agent_id"));
    const body = await readBody(c, served.limits);
    const { output, message, attachments, cancelOnDisconnect, onBusy, background, ...given } =
      parseRunFields(body);
    const stream = isStreamed(served, { stream: given.stream, background });
    const key = idempotencyKey(c, agent.id, body);
    const principal = principalOf(c, given.userId);
    const traceparent = c.req.header("traceparent");
    const request = {
      agent,
      message,
      stream,
      attachments,
      ...(output && { output }),
      ...(onBusy && { onBusy }),
      ...callerFields(c, given),
      ...(given.metadata && { metadata: given.metadata }),
      ...(traceparent !== undefined && { traceparent }),
    };
    const { submitted, life } = await submitWithin(served, c, request, () =>
      served.runner.submit(request, principal, { background, ...(key && { key }) }),
    );
    switch (submitted.kind) {
      case "live":
        return answerLive(c, submitted.run, { principal, stream, cancelOnDisconnect, life });
      case "queued": {
        const { runId: run_id, sessionId: session_id } = submitted;
        const store = served.db.storeFor(principal);
        const run = { run_id, session_id, agent_id: agent.id };
        if (stream) return streamRun(served, c, { store, run, after: -1, life });
        return c.json({ run_id, session_id, status: wireStatus("pending", served) }, 202);
      }
      case "repeated": {
        if (submitted.isSame) {
          return answerAgain(c, submitted.runId, { principal, stream, background, life });
        }
        life?.done();
        throw InvalidRequestError.field(
          ["header", "idempotency-key"],
          "It was sent before with another request. Give each request a key of its own",
        );
      }
      default:
        return submitted satisfies never;
    }
  });

  async function answerLive(
    c: Context,
    run: LiveRun,
    how: Answer & { cancelOnDisconnect: boolean },
  ): Promise<Response> {
    const { principal, stream, cancelOnDisconnect, life } = how;
    const leave = cancelOnDisconnect
      ? () => run.abort(new RunCancelledError("The caller went away."))
      : undefined;
    const { signal } = c.req.raw;
    // It may have gone away while its run was accepted.
    if (signal.aborted) leave?.();
    if (!stream) {
      if (leave) signal.addEventListener("abort", leave, { once: true });
      return c.json(presentRun(await run.ended(), served, readerOf(c, principal)));
    }
    const gone = new AbortController();
    const store = served.db.storeFor(principal);
    // Where another process tells its end, that is followed too: a caller whose run waits does not even know its id.
    const log = run.follow(-1, (after) => served.runner.follow(store, run.runId, after, gone.signal));
    const onLeave = () => {
      gone.abort();
      leave?.();
    };
    return c.body(eventStream(eventFrames(log, run.log.toWire), onLeave, life), 200, streamHeaders);
  }

  /** The answer to a request that was sent before: the run that it made then. */
  async function answerAgain(
    c: Context,
    runId: string,
    { principal, stream, background, life }: Answer & { background: boolean },
  ): Promise<Response> {
    const store = served.db.storeFor(principal);
    const known = await store.runs.get({ runId }).catch((error: unknown) => {
      life?.done();
      throw error;
    });
    if (!known) {
      life?.done();
      throw new NotFoundError("The run that this Idempotency-Key made was deleted. Use a new key.");
    }
    const { run_id, session_id, agent_id, status } = known.run;
    if (stream) {
      return streamRun(served, c, { store, run: { run_id, session_id, agent_id }, after: -1, life });
    }
    if (background) return c.json({ run_id, session_id, status: wireStatus(status, served) }, 202);
    const live = served.runner.live(runId);
    if (live) return c.json(presentRun(await live.ended(), served, readerOf(c, principal)));
    // It is done elsewhere, or waits: its log ends when it does.
    for await (const _ of served.runner.follow(store, runId, known.run.last_event_index, c.req.raw.signal));
    const ended = await store.runs.get({ runId });
    if (!ended) throw new NotFoundError("Run not found");
    if (isUnderWay(ended.run)) {
      throw new UnavailableError(
        "The server is stopping. Send the request again with the same Idempotency-Key.",
      );
    }
    return c.json(presentRun(ended.run, served, readerOf(c, principal)));
  }
}
