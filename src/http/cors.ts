import type { Context, MiddlewareHandler, Next } from "hono";
import { cors } from "hono/cors";

/** Pages on this machine, any port: what a developer's own page comes from. */
const local = /^https?:\/\/(?:localhost|127\.0\.0\.1)(?::\d{1,5})?$/;

/** Lets pages of these origins call the server and read its answers, errors too. Others get no header at all. */
export function corsFor(origins: readonly string[] | undefined): MiddlewareHandler {
  const any = origins?.includes("*") === true;
  const handle = cors({
    origin: any
      ? "*"
      : (origin) => ((origins ? origins.includes(origin) : local.test(origin)) ? origin : null),
    allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    allowHeaders: ["Authorization", "Content-Type", "Last-Event-ID", "Idempotency-Key", "X-Request-Id"],
    exposeHeaders: [
      "Link",
      "Retry-After",
      "X-Request-Id",
      "WWW-Authenticate",
      "RateLimit",
      "RateLimit-Policy",
    ],
    maxAge: 600,
  });
  // Only pages send an origin. Any other caller is spared most headers, and the work of making them.
  return (c, next) => {
    if (c.req.header("origin") !== undefined) return handle(c, next);
    // What a cache may keep, it may show to a page later: it has to know that a page would have got another answer.
    const isCacheable = c.req.method === "GET" || c.req.method === "HEAD";
    return any || isCacheable ? withoutOrigin(c, next, any) : next();
  };
}

/** The header is there from the beginning: changing an answer that is made already would make it anew, as a stream. */
async function withoutOrigin(c: Context, next: Next, any: boolean): Promise<void> {
  const add = any
    ? () => c.header("Access-Control-Allow-Origin", "*")
    : () => c.header("Vary", "Origin", { append: true });
  add();
  await next();
  // A route may have answered with a `Response` of its own, or said itself what it varies by.
  const { headers } = c.res;
  const isThere = any
    ? headers.has("access-control-allow-origin")
    : /\borigin\b/i.test(headers.get("vary") ?? "");
  if (!isThere) add();
}
