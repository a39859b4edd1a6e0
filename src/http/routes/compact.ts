import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { compactSession } from "../../runs/compact.ts";
import { jsonResponse } from "../describe.ts";
import { identifier, optionalIdentifier } from "../identifiers.ts";
import { agentOf, type Served, storeOf, userOf } from "../served.ts";
import { useWithin } from "../usage/submit-run.ts";

const compaction = z
  .object({
    status: z.enum([
      "compacted",
      "not_worth_it",
      "nothing_to_fold",
      "already_compacted",
      "no_history",
      "not_enabled",
      "summary_failed",
    ]),
    message: z.string(),
    compacted: z.boolean(),
    record: z
      .object({ messages_compacted: z.int(), tokens_before: z.int(), tokens_after: z.int() })
      .nullable(),
    metrics: z.record(z.string(), z.number()).nullable(),
  })
  .openapi("Compaction", {
    example: {
      status: "compacted",
      message: "12 messages are told by the summary now.",
      compacted: true,
      record: { messages_compacted: 12, tokens_before: 2400, tokens_after: 180 },
      metrics: { input_tokens: 2600, output_tokens: 190, total_tokens: 2790 },
    },
  });

const compact = createRoute({
  method: "post",
  path: "/agents/{agent_id}/sessions/{session_id}/compact",
  operationId: "compact_session",
  summary: "Fold a session's older history into its summary",
  description:
    "The model is sent the summary in its place; the stored transcript stays. It may decline: `status` says why.",
  tags: ["Sessions"],
  request: {
    params: z.object({ agent_id: identifier.openapi({ example: "copilot" }), session_id: identifier }),
    query: z.object({ user_id: optionalIdentifier }),
  },
  responses: jsonResponse("What came of it.", compaction, 404, 422, 503),
});

/** Compacting a session on demand. */
export function compactRoute(app: OpenAPIHono, served: Served): void {
  app.openapi(compact, async (c): Promise<Response> => {
    const { agent_id, session_id } = c.req.valid("param");
    const { user_id } = c.req.valid("query");
    const agent = agentOf(served, agent_id);
    const store = await storeOf(served, c, user_id);
    const userId = userOf(c, user_id);
    const session = { sessionId: session_id, ...(userId !== undefined && { userId }) };
    const compaction = await useWithin(served, c, userId, async () => {
      const result = await compactSession(agent, store, session);
      return { result, tokens: result.metrics?.total_tokens ?? 0 };
    });
    return c.json(compaction);
  });
}
