import type { CallOptions } from "./options.ts";

/** Which part of a list in pages. */
export interface PageOptions extends CallOptions {
  /** From 1. */
  page?: number;
  /** Entries on a page: 1 to 1,000. Default 20. */
  limit?: number;
}

/** The cursor that a `Link: rel=next` leads on with. */
export function nextCursorOf(response: Response): string | undefined {
  const target = /<([^>]*)>;\s*rel="?next"?/.exec(response.headers.get("link") ?? "")?.[1];
  if (target === undefined) return undefined;
  const query = target.slice(target.indexOf("?"));
  return new URLSearchParams(query).get("cursor") ?? undefined;
}
