import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AuditEntry } from "../../db/stores/audit-log.ts";
import { jsonResponse } from "../describe.ts";
import { optionalIdentifier } from "../identifiers.ts";
import { type Served, serverStoreOf } from "../served.ts";

const entrySchema = z
  .object({
    id: z.int(),
    at: z.string().openapi({ format: "date-time" }),
    outcome: z.enum(["denied", "allowed"]),
    status: z.int().openapi({ description: "Of the answer." }),
    user_id: z.string().nullable(),
    token_id: z.string().nullable().openapi({ description: "Its id, or the beginning of its hash." }),
    acted_for: z.string().nullable().openapi({ description: "The user in whose name it was done." }),
    address: z.string().nullable(),
    method: z.string(),
    path: z.string(),
    reason: z.string().nullable(),
  })
  .openapi("AuditEntry", {
    example: {
      id: 17,
      at: "2026-11-24T05:07:46.120Z",
      outcome: "denied",
      status: 403,
      user_id: "sarah@acme.com",
      token_id: "sha256:1f3870be274f",
      acted_for: null,
      address: "203.0.113.7",
      method: "DELETE",
      path: "/sessions/thread-42",
      reason: "Insufficient permissions. Required scope(s): sessions:delete",
    },
  });

const list = createRoute({
  method: "get",
  path: "/audit-log",
  operationId: "list_audit_log",
  summary: "Read what was refused, and what administrators did",
  description: "Newest first. `next_cursor` leads on.",
  tags: ["System"],
  request: {
    query: z.object({
      outcome: z.enum(["denied", "allowed"]).optional(),
      user_id: optionalIdentifier,
      limit: z.coerce.number().int().min(1).max(1000).default(100).openapi({ type: "integer" }),
      cursor: z.coerce
        .number()
        .int()
        .min(1)
        .max(Number.MAX_SAFE_INTEGER)
        .optional()
        .openapi({ type: "integer" }),
    }),
  },
  responses: jsonResponse(
    "Entries.",
    z
      .object({
        data: z.array(entrySchema),
        meta: z.object({ next_cursor: z.int().optional() }).openapi({ example: {} }),
      })
      .openapi("AuditLog"),
    422,
    503,
  ),
});

/** What was decided, for administrators to read. */
export function auditLogRoute(app: OpenAPIHono, served: Served): void {
  app.openapi(list, async (c): Promise<Response> => {
    const { outcome, user_id, limit, cursor } = c.req.valid("query");
    // What was decided a moment ago is in it.
    await served.auth?.audit.flush();
    const { audit } = await serverStoreOf(served);
    const entries = await audit.list(
      {
        ...(outcome !== undefined && { outcome }),
        ...(user_id !== undefined && { userId: user_id }),
        ...(cursor !== undefined && { before: cursor }),
      },
      limit,
    );
    const last = entries.length === limit ? entries.at(-1) : undefined;
    return c.json({
      data: entries.map(present),
      meta: last ? { next_cursor: last.entryId } : {},
    });
  });
}

function present(entry: AuditEntry & { entryId: number }) {
  return {
    id: entry.entryId,
    at: new Date(entry.at).toISOString(),
    outcome: entry.outcome,
    status: entry.status,
    user_id: entry.userId ?? null,
    token_id: entry.tokenId ?? null,
    acted_for: entry.actedFor ?? null,
    address: entry.address ?? null,
    method: entry.method,
    path: entry.path,
    reason: entry.reason ?? null,
  };
}
