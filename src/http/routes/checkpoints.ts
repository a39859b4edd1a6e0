import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { InvalidRequestError } from "../../errors.ts";
import type { JsonObject } from "../../events/json.ts";
import type { Message } from "../../events/messages.ts";
import type { Run } from "../../events/run.ts";
import { beforeOpenCalls } from "../../runs/continue.ts";
import { jsonResponse } from "../describe.ts";
import { optionalIdentifier } from "../identifiers.ts";
import { presentRun, readerOf, wireStatus } from "../present.ts";
import { runOf, runPath } from "../run-lookup.ts";
import { runExample, runSchema, statusSchema } from "../schemas.ts";
import type { Served } from "../served.ts";

const checkpointExample = {
  checkpoint_id: "1",
  run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
  session_id: "thread-42",
  message_index: 4,
  continue_from: 4,
  status: "completed",
  reason: "end" as const,
  created_at: 1795496852,
  message_id: "019ab3f0-7080-7277-b277-a740918f27a2",
  message_role: "assistant",
  message_preview: "The thread is about the launch date.",
  is_latest: true,
};

const checkpointSchema = z
  .object({
    checkpoint_id: z
      .string()
      .nullable()
      .openapi({ description: "Counts them; null where none stands here." }),
    run_id: z.string(),
    session_id: z.string(),
    message_index: z.int().openapi({ description: "How many messages stand before it." }),
    continue_from: z.int().openapi({ description: "What a continue takes to begin here." }),
    status: statusSchema,
    reason: z.enum(["checkpoint", "pause", "end", "snapshot"]),
    created_at: z.int(),
    message_id: z.string().nullable().openapi({ description: "The last message before it." }),
    message_role: z.string().nullable(),
    message_preview: z.string().nullable(),
    is_latest: z.boolean(),
  })
  .openapi("Checkpoint", { example: checkpointExample });

const snapshotSchema = runSchema
  .extend({ last_checkpoint_at_message_index: z.int() })
  .openapi("RunSnapshot", {
    description: "A run as it was at a message.",
    example: { ...runExample, last_checkpoint_at_message_index: 4 },
  });

const query = z.object({ session_id: optionalIdentifier, user_id: optionalIdentifier });

const list = createRoute({
  method: "get",
  path: "/agents/{agent_id}/runs/{run_id}/checkpoints",
  operationId: "list_checkpoints",
  summary: "List the checkpoints of a run",
  description: "One after each turn of the model and its tools, and one at the end.",
  tags: ["Runs"],
  request: { params: runPath, query },
  responses: jsonResponse(
    "The checkpoints, oldest first.",
    z.object({ run_id: z.string(), session_id: z.string(), checkpoints: z.array(checkpointSchema) }).openapi({
      example: {
        run_id: checkpointExample.run_id,
        session_id: checkpointExample.session_id,
        checkpoints: [checkpointExample],
      },
    }),
    404,
    422,
    503,
  ),
});

const get = createRoute({
  method: "get",
  path: "/agents/{agent_id}/runs/{run_id}/checkpoints/{message_index}",
  operationId: "get_checkpoint",
  summary: "Get a run as it was at a message",
  description:
    "Its first messages, and the calls that stand in them. An index between a call and its output is moved down before the call.",
  tags: ["Runs"],
  request: {
    params: runPath.extend({
      message_index: z
        .string()
        .regex(/^-?\d{1,9}$/, "Input should be a valid integer")
        .transform(Number)
        .openapi({ type: "integer", example: 2 }),
    }),
    query,
  },
  responses: jsonResponse(
    "The checkpoint, and the run as it was.",
    z.object({ checkpoint: checkpointSchema, snapshot: snapshotSchema }),
    400,
    404,
    422,
    503,
  ),
});

/** The places from which a run can be continued. */
export function checkpointRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(list, async (c): Promise<Response> => {
    const { run } = await runOf(served, c, { ...c.req.valid("param"), ...c.req.valid("query") });
    const { run_id, session_id } = run;
    return c.json({ run_id, session_id, checkpoints: checkpointsOf(run, served) });
  });

  app.openapi(get, async (c): Promise<Response> => {
    const { message_index: asked, ...path } = c.req.valid("param");
    const { run } = await runOf(served, c, { ...path, ...c.req.valid("query") });
    const count = run.messages.length;
    if (asked < 0 || asked > count) {
      throw new InvalidRequestError(`message_index must be between 0 and ${count}`);
    }
    const index = asked === count ? count : beforeOpenCalls(run.messages, asked);
    const known = checkpointsOf(run, served).find((checkpoint) => checkpoint["message_index"] === index);
    const messages = run.messages.slice(0, index);
    const calls = new Set(messages.flatMap(({ tool_calls = [] }) => tool_calls.map(({ id }) => id)));
    const snapshot = {
      ...run,
      messages,
      tools: run.tools.filter((tool) => calls.has(tool.tool_call_id)),
      requirements: run.requirements.filter(({ tool_execution }) => calls.has(tool_execution.tool_call_id)),
    };
    return c.json({
      checkpoint: known ?? { checkpoint_id: null, ...checkpointAt(run, index, "snapshot", served) },
      snapshot: {
        ...presentRun(snapshot, served, readerOf(c)),
        last_checkpoint_at_message_index: index,
        events: [],
      },
    });
  });
}

function checkpointsOf(run: Run, served: Served): JsonObject[] {
  const { messages, status } = run;
  const ends =
    status === "paused" ? "pause" : status === "running" || status === "pending" ? undefined : "end";
  const places = messages.flatMap((message, i): JsonObject[] =>
    endsTurn(messages, message, i + 1) && !(ends && i + 1 === messages.length)
      ? [checkpointAt(run, i + 1, "checkpoint", served)]
      : [],
  );
  if (ends) places.push(checkpointAt(run, messages.length, ends, served));
  return places.map((place, i) => ({
    checkpoint_id: String(i + 1),
    ...place,
    is_latest: i === places.length - 1,
  }));
}

/** Whether a turn of the model is complete with a message: with its text, or with the output of its last call. */
function endsTurn(messages: readonly Message[], { role }: Message, index: number): boolean {
  const isOfTurn = role === "assistant" || role === "tool";
  return isOfTurn && messages[index]?.role !== "tool" && beforeOpenCalls(messages, index) === index;
}

/** Characters of a message that are shown. */
const previewLength = 200;

function checkpointAt(run: Run, index: number, reason: string, served: Served): JsonObject {
  const message = run.messages[index - 1];
  return {
    run_id: run.run_id,
    session_id: run.session_id,
    message_index: index,
    continue_from: index,
    status: wireStatus(run.status, served),
    reason,
    created_at: message?.created_at ?? run.created_at,
    message_id: message?.id ?? null,
    message_role: message?.role ?? null,
    // The system prompt is not everybody's to read.
    message_preview:
      message?.role === "system" ? null : (message?.content?.slice(0, previewLength).toWellFormed() ?? null),
    is_latest: false,
  };
}
