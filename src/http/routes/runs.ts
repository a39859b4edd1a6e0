import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { InvalidRequestError, RunCancelledError } from "../../errors.ts";
import { callerFields } from "../auth/caller-fields.ts";
import { readBody } from "../body.ts";
import { errorResponses, jsonResponse } from "../describe.ts";
import { identifier, optionalIdentifier } from "../identifiers.ts";
import { presentListedRun, presentRun } from "../present.ts";
import { parseRunFields } from "../run-fields.ts";
import { runListQuery, runPage } from "../run-lists.ts";
import { runOf, runPath } from "../run-lookup.ts";
import { listedRunSchema, runEventSchema, runSchema } from "../schemas.ts";
import { agentOf, principalOf, type Served, storeOf, userOf } from "../served.ts";
import { eventFrames, eventStream, streamHeaders } from "../sse.ts";
import { startWithin } from "../usage/start-run.ts";

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
    ...errorResponses(400, 404, 413, 415, 422, 503),
  },
});

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

/** Creating, listing and reading runs. */
export function runRoutes(app: OpenAPIHono, served: Served): void {
  // Its body is read by hand: the limit depends on its type, and a file must not be read twice.
  app.openAPIRegistry.registerPath(createRun);
  app.post("/agents/:agent_id/runs", async (c) => {
    const agent = agentOf(served, c.req.param("agent_id"));
    if (c.req.header("idempotency-key") !== undefined) {
      throw InvalidRequestError.field(["header", "idempotency-key"], "This version does not take it yet");
    }
    const { output, message, stream, attachments, cancelOnDisconnect, ...given } = parseRunFields(
      await readBody(c, served.limits),
    );
    const principal = principalOf(c, given.userId);
    const caller = callerFields(c, given);
    const request = {
      agent,
      message,
      stream,
      attachments,
      ...(output && { output }),
      ...caller,
      ...(given.metadata && { metadata: given.metadata }),
    };
    const { run, life } = await startWithin(served, c, request, () =>
      served.runner.start(request, principal),
    );
    const leave = cancelOnDisconnect
      ? () => run.abort(new RunCancelledError("The caller went away."))
      : undefined;
    if (!stream) {
      if (leave) c.req.raw.signal.addEventListener("abort", leave, { once: true });
      return c.json(presentRun(await run.ended(), served, principal));
    }
    const frames = eventFrames(run.follow(-1), run.log.toWire);
    return c.body(eventStream(frames, leave, life), 200, streamHeaders);
  });

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
    return c.json(page.map(({ run }) => presentListedRun(run, served, principalOf(c))));
  });

  app.openapi(getRun, async (c): Promise<Response> => {
    const { agent_id, run_id } = c.req.valid("param");
    const { session_id, user_id } = c.req.valid("query");
    const found = await runOf(served, c, { agent_id, run_id, session_id, user_id });
    // A run that is under way here is further than its row, which is as of the last checkpoint.
    const run = served.runner.live(run_id)?.toRun() ?? found.run;
    return c.json({ ...presentRun(run, served, principalOf(c)), events: [] });
  });
}
