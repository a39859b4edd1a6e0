import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { SessionRuns } from "../db/records.ts";
import { type RunStatus, runStatuses } from "../events/run.ts";

/** Runs that a list holds where nothing else is asked for. */
const defaultLimit = 100;

const statuses = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .transform((given, context): RunStatus[] | undefined => {
    const wanted = [given ?? []].flat().flatMap((text) => text.toLowerCase().split(",").filter(Boolean));
    if (wanted.every((status) => (runStatuses as readonly string[]).includes(status))) {
      return wanted.length > 0 ? (wanted as RunStatus[]) : undefined;
    }
    context.addIssue({ code: "custom", message: `Input should be one of ${runStatuses.join(", ")}` });
    return z.NEVER;
  })
  .openapi({
    type: "array",
    items: { type: "string", enum: [...runStatuses] },
    description: "In upper or lower case; several mean any of them.",
  });

const seconds = z
  .string()
  .regex(/^\d{0,12}$/, "Input should be a Unix time in seconds")
  .optional()
  .transform((text) => (text === undefined || text === "" ? undefined : Number(text)));

/** The query parameters of a list of runs. */
export const runListQuery = {
  status: statuses,
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, "Not a cursor of this list")
    .optional()
    .openapi({ description: "From the `Link` of another page." }),
};

/** The query parameters that choose runs by the time at which they were made. */
export const runTimeQuery = {
  created_after: seconds.openapi({
    type: "integer",
    description: "Unix time in seconds; a run of that second is in the list.",
  }),
  created_before: seconds.openapi({
    type: "integer",
    description: "Unix time in seconds; a run of that second is in the list.",
  }),
};

/** What is asked for of a list of runs. */
interface RunListFields {
  status?: RunStatus[] | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
  created_after?: number | undefined;
  created_before?: number | undefined;
}

/**
 * Reads a page of runs: the newest 100 where nothing else is asked for. `Link: rel=next` leads to those before.
 *
 * @param all - whether a list without limit and cursor holds all
 */
export async function runPage<T extends { order: number }>(
  c: Context,
  fields: RunListFields,
  all: boolean,
  read: (filter: Omit<SessionRuns, "sessionId">) => Promise<T[]>,
): Promise<T[]> {
  const { status, cursor, created_after, created_before } = fields;
  const limit =
    all && fields.limit === undefined && cursor === undefined
      ? Number.MAX_SAFE_INTEGER - 1
      : (fields.limit ?? defaultLimit);
  const found = await read({
    limit: limit + 1,
    ...(status && { statuses: status }),
    ...(created_after !== undefined && { createdAfter: created_after }),
    ...(created_before !== undefined && { createdBefore: created_before }),
    ...(cursor !== undefined && { before: Number(cursor) }),
  });
  const page = found.slice(Math.max(0, found.length - limit));
  if (page.length < found.length) {
    const next = new URL(c.req.url);
    next.searchParams.set("cursor", String(page[0]!.order));
    next.searchParams.set("limit", String(limit));
    // Counted from this request's own URL: a host app may have this one under a path that it does not know.
    c.header("Link", `<${next.search}>; rel="next"`);
  }
  return page;
}
