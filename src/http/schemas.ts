import { z } from "@hono/zod-openapi";
import { runStatuses } from "../events/run.ts";

/** The shapes of the wire, for the OpenAPI document. */

const json = z.record(z.string(), z.unknown());

/** What every error answers. */
export const errorSchema = z
  .object({
    detail: z.union([
      z.string(),
      z.array(
        z.object({
          type: z.string(),
          loc: z.array(z.union([z.string(), z.number()])),
          msg: z.string(),
          input: z.unknown().optional(),
        }),
      ),
    ]),
    request_id: z.string(),
  })
  .openapi("Error", {
    description: "What was wrong. `detail` is a text, or for a 422 a list that names each field.",
    example: {
      detail: [{ type: "missing", loc: ["body", "message"], msg: "Field required", input: null }],
      request_id: "019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
    },
  });

const mediaSchema = z
  .object({
    id: z.string(),
    filename: z.string(),
    mime_type: z.string(),
    format: z.string(),
    size: z.int(),
    url: z.string(),
  })
  .openapi("MediaReference", { description: "A file of a run; its bytes are at `url`." });

const mediaLists = {
  files: z.array(mediaSchema).optional(),
  images: z.array(mediaSchema).optional(),
  audio: z.array(mediaSchema).optional(),
};

/** Tokens by kind. */
export const tokenFields = {
  input_tokens: z.int(),
  output_tokens: z.int(),
  total_tokens: z.int(),
  reasoning_tokens: z.int(),
  cache_read_tokens: z.int(),
  cache_write_tokens: z.int(),
};

const cost = z
  .number()
  .nullable()
  .openapi({ description: "In the currency of the server's prices; null where a price is missing." });

const metricsSchema = z
  .object({
    ...tokenFields,
    time_to_first_token: z.number().optional(),
    duration: z.number().optional(),
    cost: cost.optional(),
    details: z
      .object({
        model: z.array(
          z.object({ id: z.string(), provider: z.string(), ...tokenFields, cost: cost.optional() }),
        ),
      })
      .optional(),
  })
  .openapi("RunMetrics", { description: "Tokens are counts, times are seconds." });

const messageSchema = z
  .looseObject({
    id: z.string(),
    role: z.enum(["system", "user", "assistant", "tool"]),
    content: z.string().optional(),
    from_history: z.boolean(),
    created_at: z.int(),
    ...mediaLists,
  })
  .openapi("Message");

/** A tool call of a run. */
export const toolSchema = z
  .object({
    tool_call_id: z.string(),
    tool_name: z.string(),
    tool_args: json,
    tool_call_error: z.boolean().nullable(),
    result: z.string().nullable(),
    metrics: z.object({ start_time: z.number(), end_time: z.number(), duration: z.number() }).nullable(),
    stop_after_tool_call: z.boolean(),
    created_at: z.int(),
    requires_confirmation: z.boolean().optional(),
    confirmed: z.boolean().optional(),
    confirmation_note: z.string().optional(),
    requires_user_input: z.boolean().optional(),
    user_input_schema: z
      .array(
        z.object({
          name: z.string(),
          field_type: z.string(),
          description: z.string().nullable(),
          value: z.unknown(),
        }),
      )
      .optional(),
    answered: z.boolean().optional(),
    external_execution_required: z.boolean().optional(),
    result_unknown: z.boolean().optional(),
  })
  .openapi("ToolExecution", { description: "Of what people are asked for only what applies is there." });

const requirementSchema = z
  .object({
    id: z.string(),
    created_at: z.string().openapi({ format: "date-time" }),
    tool_execution: toolSchema,
  })
  .openapi("Requirement", { description: "What a paused run waits for, or waited for." });

/** Which run a run was made of, and which one took its place. */
const lineageFields = {
  forked_from_run_id: z.string(),
  forked_from_message_index: z.int(),
  regenerated_from: z.string(),
  superseded_by: z.string(),
};

/** A status is written in lower case, or in upper case for clients of the original. */
export const statusSchema = z
  .enum([...runStatuses, ...runStatuses.map((status) => status.toUpperCase())])
  .openapi({ description: "Lower case; upper case with agnoCompat.", example: "completed" });

const metricsExample = {
  input_tokens: 142,
  output_tokens: 8,
  total_tokens: 150,
  reasoning_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  time_to_first_token: 0.3,
  duration: 0.9,
};

/** A background run that was accepted. */
export const acceptedRunSchema = z
  .object({ run_id: z.string(), session_id: z.string(), status: z.string() })
  .openapi("AcceptedRun", {
    example: {
      run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
      session_id: "thread-42",
      status: "pending",
    },
  });

/** What a run looks like. */
export const runExample = {
  run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
  agent_id: "copilot",
  session_id: "thread-42",
  user_id: "sarah@acme.com",
  status: "completed",
  content: "The thread is about the launch date.",
  content_type: "str",
  model: "gpt-5.5",
  model_provider: "OpenAI",
  session_state: {},
  metrics: metricsExample,
  messages: [],
  tools: [],
  requirements: [],
  input: { input_content: "Summarize this thread" },
  created_at: 1795496852,
  updated_at: 1795496853,
};

/** A run as it is answered. */
export const runSchema = z
  .object({
    run_id: z.string(),
    agent_id: z.string(),
    agent_name: z.string().optional(),
    session_id: z.string(),
    user_id: z.string().nullable(),
    status: statusSchema,
    content: z.unknown().openapi({ description: "The answer: text, or the object of an output schema." }),
    content_type: z.string().openapi({ description: "`str`, or the title of the output schema." }),
    reasoning_content: z.string().optional(),
    model: z.string(),
    model_provider: z.string(),
    session_state: json,
    metadata: json.optional(),
    metrics: metricsSchema,
    messages: z.array(messageSchema),
    tools: z.array(toolSchema),
    requirements: z.array(requirementSchema),
    input: z.object({ input_content: z.string(), ...mediaLists }),
    forked_from_run_id: lineageFields.forked_from_run_id.optional(),
    forked_from_message_index: lineageFields.forked_from_message_index.optional(),
    regenerated_from: lineageFields.regenerated_from.optional(),
    superseded_by: lineageFields.superseded_by.optional(),
    error_type: z.string().optional(),
    created_at: z.int().openapi({ description: "Unix time in seconds." }),
    updated_at: z.int(),
    events: z.array(z.unknown()).optional(),
  })
  .openapi("Run", { example: runExample });

/** A run as it stands in a list. */
export const listedRunSchema = z
  .looseObject({
    run_id: z.string(),
    parent_run_id: z.string(),
    agent_id: z.string(),
    user_id: z.string().nullable(),
    status: statusSchema,
    run_input: z.string(),
    content: z.unknown(),
    metrics: metricsSchema,
    metadata: json.nullable(),
    messages: z.array(messageSchema),
    tools: z.array(toolSchema).nullable(),
    requirements: z.array(requirementSchema).nullable(),
    forked_from_run_id: lineageFields.forked_from_run_id.nullable(),
    forked_from_message_index: lineageFields.forked_from_message_index.nullable(),
    regenerated_from: lineageFields.regenerated_from.nullable(),
    superseded_by: lineageFields.superseded_by.nullable(),
    session_state: json,
    created_at: z.string().openapi({ format: "date-time" }),
  })
  .openapi("ListedRun", {
    example: {
      run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
      parent_run_id: "",
      agent_id: "copilot",
      user_id: "sarah@acme.com",
      status: "completed",
      run_input: "Summarize this thread",
      content: "The thread is about the launch date.",
      run_response_format: "text",
      reasoning_content: "",
      metrics: metricsExample,
      metadata: null,
      messages: [],
      tools: null,
      requirements: null,
      forked_from_run_id: null,
      forked_from_message_index: null,
      regenerated_from: null,
      superseded_by: null,
      session_state: {},
      created_at: "2026-11-24T05:07:46Z",
    },
  });

const eventExample = {
  agent_id: "copilot",
  run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
  session_id: "thread-42",
  event_index: 2,
  created_at: 1795496852,
  event: "RunContent",
  content: "The thread ",
  content_type: "str",
} as const;

/** One event of a run's stream. */
export const runEventSchema = z
  .looseObject({
    event: z.enum([
      "RunStarted",
      "ModelRequestStarted",
      "RunContent",
      "ReasoningStarted",
      "ReasoningContentDelta",
      "ReasoningCompleted",
      "ModelRequestCompleted",
      "ToolCallStarted",
      "ToolCallCompleted",
      "ToolCallError",
      "MemoryUpdateStarted",
      "MemoryUpdateCompleted",
      "RunContentCompleted",
      "RunPaused",
      "RunContinued",
      "RunRecovered",
      "RunCompleted",
      "RunError",
      "RunCancelled",
    ]),
    event_index: z
      .int()
      .openapi({ description: "From 0, without gaps; the frame's `id:` is the same number." }),
    created_at: z.int(),
    agent_id: z.string(),
    run_id: z.string(),
    session_id: z.string(),
  })
  .openapi("RunEvent", {
    description: "One event of a run, as the `data:` of a frame.",
    example: eventExample,
  });

const resumption = {
  run_id: z.string(),
  status: statusSchema,
};

/** What tells a reader that comes back where it stands. */
const controlSchema = z
  .union([
    z.object({
      event: z.literal("catch_up"),
      ...resumption,
      missed_events: z.int(),
      current_event_count: z.int(),
    }),
    z.object({
      event: z.literal("replay"),
      ...resumption,
      total_events: z.int(),
      total_buffered: z.int(),
      last_event_index_requested: z.int(),
      message: z.string(),
    }),
    z.object({ event: z.literal("subscribed"), ...resumption, current_event_count: z.int() }),
    z.object({ event: z.literal("error"), run_id: z.string(), error: z.string(), error_type: z.string() }),
  ])
  .openapi("ResumeControl", {
    description: "No event of the run: its frame has no `id:`.",
    example: {
      event: "subscribed",
      run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
      status: "running",
      current_event_count: 7,
    },
  });

/** One frame of a stream that was taken up again. */
export const resumedEventSchema = z
  .union([runEventSchema, controlSchema])
  .openapi("ResumedEvent", { example: eventExample });

const modelSchema = z.object({ name: z.string(), model: z.string(), provider: z.string() });

/** An agent as it is listed. */
export const agentSchema = z
  .looseObject({
    id: z.string(),
    name: z.string().optional(),
    description: z.string().optional(),
    db_id: z.string(),
    model: modelSchema,
    tools: z.object({
      tools: z.array(
        z.object({
          name: z.string(),
          description: z.string(),
          parameters: json,
          requires_confirmation: z.boolean().optional(),
          requires_user_input: z.boolean().optional(),
          external_execution: z.boolean().optional(),
        }),
      ),
    }),
    sessions: z.object({ session_table: z.string(), add_history_to_context: z.boolean() }),
    memory: z
      .object({ enable_agentic_memory: z.boolean(), update_memory_on_run: z.boolean(), model: modelSchema })
      .optional(),
  })
  .openapi("Agent", {
    example: {
      id: "copilot",
      name: "Copilot",
      db_id: "sqlite",
      model: { name: "OpenAIResponses", model: "gpt-5.5", provider: "OpenAI" },
      tools: { tools: [] },
      sessions: { session_table: "sessions", add_history_to_context: true },
    },
  });
