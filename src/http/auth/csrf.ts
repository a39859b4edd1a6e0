import type { Context } from "hono";
import { ForbiddenError } from "../../errors.ts";

/**
 * Refuses a request that another site's page made a browser send: the browser adds the cookie by itself, whoever asks.
 * Needed for a token from a cookie alone, and for whatever may change something.
 *
 * @throws {ForbiddenError} unless the browser says that the page is of this origin
 * @see https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
 */
export function refuseCrossSite(c: Context): void {
  if (c.req.method === "GET" || c.req.method === "HEAD") return;
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined ? site === "same-origin" : isSameHost(c)) return;
  throw new ForbiddenError(
    "With a token in a cookie, only pages of this origin may change something. Send the token in the Authorization header.",
  );
}

/** For browsers that do not send `Sec-Fetch-Site`. */
function isSameHost(c: Context): boolean {
  const origin = c.req.header("origin");
  const host = c.req.header("host");
  if (origin === undefined || host === undefined || !URL.canParse(origin)) return false;
  return new URL(origin).host === host.toLowerCase();
}
