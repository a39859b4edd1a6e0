import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { AgentDefinition } from "../../agent/definition.ts";
import type { Principal } from "../../db/principal.ts";
import { ConflictError, NotFoundError } from "../../errors.ts";
import type { Continued } from "../../runs/runner-options.ts";
import { callerFields, hasScope } from "../auth/caller-fields.ts";
import type { StreamLife } from "../auth/open-streams.ts";
import { readBody } from "../body.ts";
import { type ContinueFields, parseContinueFields } from "../continue-fields.ts";
import { errorResponses } from "../describe.ts";
import { fromZod } from "../errors.ts";
import { hasBody } from "../loose-fields.ts";
import { presentRun, readerOf, wireStatus } from "../present.ts";
import { findRun, runPath } from "../run-lookup.ts";
import { isStreamed, streamRun } from "../run-stream.ts";
import { acceptedRunSchema, runEventSchema, runSchema, toolSchema } from "../schemas.ts";
import { principalOf, type Served, userOf } from "../served.ts";
import { submitWithin } from "../usage/submit-run.ts";

const decidedTools = z.array(toolSchema.partial().required({ tool_call_id: true }));

const continueBody = z
  .object({
    tools: z
      .union([decidedTools, z.string()])
      .optional()
      .openapi({
        description:
          "Of a paused run: the calls that wait, as they were told, with `confirmed` and `confirmation_note`, the values of " +
          "`user_input_schema`, or the `result`.",
      }),
    input: z.string().optional().openapi({ description: "Of an ended run: what the user says next." }),
    continue_from: z
      .union([z.enum(["end", "last_user"]), z.int().min(0)])
      .default("end")
      .openapi({ description: "Up to where an ended run is taken along; a number counts its messages." }),
    fork: z
      .boolean()
      .default(false)
      .openapi({ description: "Says that a new run is meant: it is one anyway." }),
    regenerate: z.boolean().default(false).openapi({ description: "Answers the same question again." }),
    replace_original: z
      .boolean()
      .optional()
      .openapi({ description: "Whether the new answer takes the place of the first. Default true." }),
    additional_instructions: z
      .string()
      .optional()
      .openapi({ description: "What the user says to the regenerated answer." }),
    session_id: z.string().optional(),
    user_id: z.string().optional(),
    stream: z.boolean().default(true),
    background: z.boolean().default(false),
  })
  .openapi("ContinueRequest", {
    description: "In a form, `tools` is sent as JSON text.",
    example: { tools: [{ tool_call_id: "fc_1", confirmed: true }], stream: false },
  });

const description = createRoute({
  method: "post",
  path: "/agents/{agent_id}/runs/{run_id}/continue",
  operationId: "continue_run",
  summary: "Continue a run",
  description:
    "A paused run goes on under its id, with the decisions that it waits for; its stream begins with `RunContinued`. Of a " +
    "run that failed or completed a new run is made, which `forked_from_run_id` or `regenerated_from` ties to it.",
  tags: ["Runs"],
  request: {
    params: runPath,
    query: z.object({ session_id: z.string().optional(), user_id: z.string().optional() }),
    body: {
      content: {
        "application/json": { schema: continueBody },
        "multipart/form-data": { schema: continueBody },
        "application/x-www-form-urlencoded": { schema: continueBody },
      },
    },
  },
  responses: {
    200: {
      description: "The ended or paused run, or its events from here on.",
      content: { "application/json": { schema: runSchema }, "text/event-stream": { schema: runEventSchema } },
    },
    202: {
      description: "The run goes on in background.",
      content: { "application/json": { schema: acceptedRunSchema } },
    },
    ...errorResponses(400, 404, 409, 413, 415, 422, 429, 503),
  },
});

/** To whom a run is answered, and how. */
interface Answer {
  principal: Principal;
  agent: AgentDefinition;
  stream: boolean;
  life: StreamLife | undefined;
}

/** Continuing a run: with what people decided, or beyond its end. */
export function continueRoute(app: OpenAPIHono, served: Served): void {
  app.openAPIRegistry.registerPath(description);
  app.post("/agents/:agent_id/runs/:run_id/continue", async (c) => {
    const path = runPath.safeParse(c.req.param());
    if (!path.success) throw fromZod(path.error, "path", c.req.param());
    const body = hasBody(c) ? await readBody(c, served.limits) : undefined;
    const { background, ...fields } = parseContinueFields(body, c.req.query());
    const stream = isStreamed(served, { stream: fields.stream, background });
    const agent = await servedAgent(c, path.data, fields);
    const { userId: named, ...rest } = fields;
    const principal = principalOf(c, named);
    const userId = userOf(c, named);
    const { userId: owner, sessionId: _, ...ofCaller } = callerFields(c, { userId: named });
    const { submitted, life } = await submitWithin(served, c, { stream, userId: owner }, () =>
      served.runner.continueRun(
        {
          ...rest,
          agent,
          runId: path.data.run_id,
          stream,
          ofCaller,
          callerHas: hasScope(c),
          ...(userId !== undefined && { userId }),
        },
        principal,
        { background },
      ),
    );
    return answer(c, submitted, { principal, agent, stream, life });
  });

  /** A run whose agent is served no more can wait, and is no unknown one. */
  async function servedAgent(
    c: Context,
    { agent_id, run_id }: z.output<typeof runPath>,
    { sessionId, userId: named }: Pick<ContinueFields, "sessionId" | "userId">,
  ): Promise<AgentDefinition> {
    const agent = served.agents.get(agent_id);
    if (agent) return agent;
    const { run } = await findRun(served, c, { agent_id, run_id, session_id: sessionId, user_id: named });
    if (!run) throw new NotFoundError("Agent not found");
    throw new ConflictError(`The agent "${agent_id}" is not served any more. The run stays as it is.`);
  }

  async function answer(
    c: Context,
    continued: Continued,
    { principal, agent, stream, life }: Answer,
  ): Promise<Response> {
    if (continued.kind === "repeated") throw new Error("a continue has no key");
    const { runId: run_id, sessionId: session_id } = continued.kind === "live" ? continued.run : continued;
    if (stream) {
      const store = served.db.storeFor(principal);
      const run = { run_id, session_id, agent_id: agent.id };
      return streamRun(served, c, { store, run, after: continued.shownAfter, life });
    }
    if (continued.kind === "live") {
      const run = presentRun(await continued.run.ended(), served, readerOf(c, principal));
      return c.json({ ...run, events: [] });
    }
    return c.json({ run_id, session_id, status: wireStatus("pending", served) }, 202);
  }
}
