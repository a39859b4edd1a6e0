import type { MiddlewareHandler } from "hono";

/**
 * Headers that keep browsers from making more of an answer than it is: of another type than it says, or of one caller's
 * answer another's.
 *
 * @param hasCallers - whether answers depend on who asks: then no cache may keep one that does not say otherwise
 * @see https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
 */
export function securityHeaders(hasCallers: boolean): MiddlewareHandler {
  return async (c, next) => {
    c.header("X-Content-Type-Options", "nosniff");
    await next();
    const isRead = c.req.method === "GET" || c.req.method === "HEAD";
    if (hasCallers && isRead && !c.res.headers.has("cache-control")) c.header("Cache-Control", "no-store");
  };
}
