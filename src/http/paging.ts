import { z } from "@hono/zod-openapi";

/** Entries that a page may hold. */
const mostPerPage = 1000;

/** The query parameters of a list in pages. */
export const pageQuery = {
  page: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(1)
    .openapi({ type: "integer", description: "From 1." }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(mostPerPage)
    .default(20)
    .openapi({ type: "integer", description: "Entries on a page." }),
};

/** Where in a list an answer stands. */
export interface Paged {
  page: number;
  limit: number;
  /** Stays at the most that is counted. */
  total: number;
  mostCounted: number;
  /** When the search began, by `performance.now()`. */
  since: number;
  /** Whether there may be more than was counted. */
  isCapped?: boolean;
  nextCursor?: string | undefined;
}

/** The `meta` of a list in pages. */
export function pageMeta({ page, limit, total, mostCounted, since, isCapped, nextCursor }: Paged) {
  return {
    page,
    limit,
    total_pages: Math.ceil(Math.min(total, mostCounted) / limit),
    total_count: Math.min(total, mostCounted),
    ...((isCapped || total > mostCounted) && { total_is_capped: true }),
    search_time_ms: Math.round(performance.now() - since),
    ...(nextCursor !== undefined && { next_cursor: nextCursor }),
  };
}

/** A list in pages, for the OpenAPI document. */
export function pagedSchema(entry: z.ZodType, name: string) {
  return z
    .object({
      data: z.array(entry),
      meta: z
        .object({
          page: z.int(),
          limit: z.int(),
          total_pages: z.int(),
          total_count: z.int().openapi({ description: "Exact up to 10,000, and stays there." }),
          total_is_capped: z.boolean().optional(),
          search_time_ms: z.int(),
          next_cursor: z
            .string()
            .optional()
            .openapi({ description: "Give it as `cursor` for what follows; absent at the end." }),
        })
        .openapi({
          example: { page: 1, limit: 20, total_pages: 1, total_count: 1, search_time_ms: 2 },
        }),
    })
    .openapi(name);
}
