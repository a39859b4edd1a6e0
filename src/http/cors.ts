import type { MiddlewareHandler } from "hono";
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
    exposeHeaders: ["Link", "Retry-After", "X-Request-Id", "WWW-Authenticate"],
    maxAge: 600,
  });
  // Only pages send an origin. Any other caller is spared the headers, and the work of making them.
  return (c, next) => (c.req.header("origin") === undefined ? next() : handle(c, next));
}
