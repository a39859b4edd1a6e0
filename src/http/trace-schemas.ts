import { z } from "@hono/zod-openapi";
import { pagedSchema } from "./paging.ts";

/** The shapes of traces on the wire, for the OpenAPI document. */

const json = z.record(z.string(), z.unknown());
const time = z.string().openapi({ format: "date-time" });
const status = z.enum(["OK", "ERROR"]);

const example = {
  trace_id: "019ab3f06f1e7c3a9c550d6f1f1f7b11",
  name: "invoke_agent copilot",
  status: "OK" as const,
  duration: "37.98ms",
  start_time: "2026-11-24T05:07:46.956Z",
  end_time: "2026-11-24T05:07:46.995Z",
  total_spans: 4,
  error_count: 0,
  input: "What is on my calendar?",
  run_id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
  session_id: "thread-42",
  user_id: "sarah@acme.com",
  agent_id: "copilot",
  created_at: "2026-11-24T05:07:47.120Z",
};

const common = {
  trace_id: z.string(),
  name: z.string(),
  status,
  duration: z.string().openapi({ description: "Milliseconds, with their unit." }),
  start_time: time,
  end_time: time,
  total_spans: z.int(),
  error_count: z.int(),
  input: z.string(),
  run_id: z.string(),
  session_id: z.string(),
  user_id: z.string().nullable(),
  agent_id: z.string(),
  created_at: time,
};

/** A trace as it stands in a list. */
export const traceSchema = z.object(common).openapi("Trace", { example });

const nodeFields = {
  id: z.string(),
  name: z.string(),
  type: z.enum(["AGENT", "LLM", "TOOL", "MEMORY", "QUEUE", "SPAN"]).openapi({
    description: "SPAN is one that a tool made itself.",
  }),
  duration: z.string(),
  start_time: time,
  end_time: time,
  status,
  input: z.string().optional(),
  output: z.string().optional(),
  error: z.string().optional(),
  metadata: json,
};

const nodeSchema = z
  .object({
    ...nodeFields,
    spans: z
      .array(json)
      .optional()
      .openapi({ description: "Those below it, of the same shape, in the order in which they began." }),
  })
  .openapi("TraceNode");

const nodeExample = {
  id: "c546864f4ce3fac2",
  name: "invoke_agent copilot",
  type: "AGENT" as const,
  duration: "37.98ms",
  start_time: "2026-11-24T05:07:46.956988Z",
  end_time: "2026-11-24T05:07:46.995080Z",
  status: "OK" as const,
  input: "What is on my calendar?",
  output: "Nothing today.",
  metadata: { total_input_tokens: 142, total_output_tokens: 9 },
};

const detailExample = { ...example, output: "Nothing today.", tree: [nodeExample] };

const traceDetailSchema = z
  .object({
    ...common,
    output: z.string(),
    tree: z.array(nodeSchema),
    spans_left_out: z.int().optional().openapi({
      description:
        "Spans that are not in the tree, for the answer has 8 MiB of them already. `GET /traces/{trace_id}` with `run_id` has all of a run.",
    }),
  })
  .openapi("TraceDetail", { example: detailExample });

const spanSchema = z
  .object({
    ...nodeFields,
    kind: z.string(),
    parent_span_id: z.string().nullable(),
    attributes: json,
    events: z.array(json),
    links: z.array(json),
  })
  .openapi("TraceSpan", {
    example: {
      ...nodeExample,
      kind: "INTERNAL",
      parent_span_id: null,
      attributes: { "gen_ai.operation.name": "invoke_agent" },
      events: [],
      links: [],
    },
  });

const sessionTracesSchema = z
  .object({
    session_id: z.string(),
    user_id: z.string().nullable(),
    agent_id: z.string(),
    total_traces: z.int(),
    first_trace_at: time,
    last_trace_at: time,
  })
  .openapi("SessionTraces", {
    example: {
      session_id: "thread-42",
      user_id: "sarah@acme.com",
      agent_id: "copilot",
      total_traces: 2,
      first_trace_at: "2026-11-24T05:07:46.956Z",
      last_trace_at: "2026-11-24T05:09:12.004Z",
    },
  });

/** What a filter bar can be built of. */
export const filterSchemaSchema = z
  .object({
    fields: z.array(
      z.object({
        key: z.string(),
        label: z.string(),
        type: z.enum(["enum", "string", "number", "datetime"]),
        operators: z.array(z.string()),
        values: z.array(z.string()).nullable(),
      }),
    ),
    logical_operators: z.array(z.string()),
  })
  .openapi("TraceFilterSchema", {
    example: {
      fields: [
        {
          key: "status",
          label: "Status",
          type: "enum",
          operators: ["EQ", "NEQ", "IN"],
          values: ["OK", "ERROR"],
        },
      ],
      logical_operators: ["AND", "OR", "NOT"],
    },
  });

/** A trace with its tree, or one of its spans. */
export const traceOrSpanSchema = z
  .union([traceDetailSchema, spanSchema])
  .openapi("TraceOrSpan", { example: detailExample });

/** A page of sessions with what their traces come to. */
export const sessionTracesPageSchema = pagedSchema(sessionTracesSchema, "SessionTracesPage");

/** What a search of traces finds: traces, or with `group_by` sessions. */
export const foundTracesSchema = z
  .union([pagedSchema(traceDetailSchema, "TraceDetailPage"), sessionTracesPageSchema])
  .openapi("FoundTraces", {
    example: {
      data: [detailExample],
      meta: { page: 1, limit: 20, total_pages: 1, total_count: 1, search_time_ms: 2 },
    },
  });
