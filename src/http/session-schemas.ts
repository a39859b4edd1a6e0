import { z } from "@hono/zod-openapi";
import { tokenFields } from "./schemas.ts";

/** The shapes of sessions on the wire, for the OpenAPI document. */

const json = z.record(z.string(), z.unknown());

const tokens = z
  .object({
    ...tokenFields,
    cost: z.number().nullable().openapi({ description: "Null where nothing of it has a price." }),
    unpriced_runs_count: z.int().openapi({ description: "Ended runs that `cost` knows nothing of." }),
  })
  .partial()
  .openapi("SessionTokens", { description: "What its runs used in all; empty where it has none." });

const common = {
  session_id: z.string(),
  session_name: z.string(),
  session_state: json,
  user_id: z.string().nullable(),
  agent_id: z.string().openapi({ description: "The agent that it began with." }),
  metrics: tokens,
  total_tokens: z.int().nullable(),
  created_at: z.string().openapi({ format: "date-time" }),
  updated_at: z.string().openapi({ format: "date-time" }),
};

const example = {
  session_id: "thread-42",
  session_name: "Launch date",
  session_state: { step: 2 },
  user_id: "sarah@acme.com",
  agent_id: "copilot",
  metrics: {
    input_tokens: 142,
    output_tokens: 8,
    total_tokens: 150,
    reasoning_tokens: 0,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
    cost: 0.0021,
    unpriced_runs_count: 0,
  },
  total_tokens: 150,
  created_at: "2026-11-24T05:07:46Z",
  updated_at: "2026-11-24T05:07:46Z",
};

/** A session as it stands in a list. */
export const listedSessionSchema = z
  .object({
    ...common,
    session_type: z.literal("agent"),
    snippet: z
      .string()
      .optional()
      .openapi({ description: "With `search`: HTML, with `<mark>` around what was found." }),
  })
  .openapi("ListedSession", { example: { ...example, session_type: "agent" } });

/** A session as it is read by itself. */
export const sessionSchema = z
  .object({
    ...common,
    agent_session_id: z.string(),
    session_summary: json.nullable(),
    agent_data: z
      .object({
        agent_id: z.string(),
        name: z.string().optional(),
        model: z.object({ name: z.string(), provider: z.string(), id: z.string() }),
      })
      .nullable()
      .openapi({ description: "The agent as it is served; null where it is not." }),
    metadata: json.nullable(),
    chat_history: z
      .array(json)
      .openapi({ description: "What user and agents said in the newest 100 runs, oldest first." }),
  })
  .openapi("Session", {
    example: {
      ...example,
      agent_session_id: "thread-42",
      session_summary: null,
      agent_data: {
        agent_id: "copilot",
        model: { name: "OpenAIResponses", provider: "OpenAI", id: "gpt-5.5" },
      },
      metadata: null,
      chat_history: [],
    },
  });

/** A run in short. */
export const runPreviewSchema = z
  .object({
    run_id: z.string(),
    parent_run_id: z.string(),
    agent_id: z.string(),
    user_id: z.string().nullable(),
    status: z.string(),
    run_input: z.string(),
    content_preview: z.string(),
    created_at: z.string().openapi({ format: "date-time" }),
  })
  .openapi("RunPreview", {
    example: {
      run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
      parent_run_id: "",
      agent_id: "copilot",
      user_id: "sarah@acme.com",
      status: "completed",
      run_input: "Summarize this thread",
      content_preview: "The thread is about the launch date.",
      created_at: "2026-11-24T05:07:46Z",
    },
  });
