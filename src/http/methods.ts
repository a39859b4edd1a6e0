import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { MethodNotAllowedError } from "../errors.ts";
import { ownPath } from "./mount.ts";

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** The methods that a path of the app takes; none where the path is unknown. */
export function methodsOf(app: OpenAPIHono, path: string): string[] {
  return methods.filter((method) => {
    const [handlers] = app.router.match(method, path);
    // Middleware is registered for all methods and matches every path.
    return handlers.some(([[, route]]) => route.method === method);
  });
}

/**
 * Answers 405 for a known path under another method where a host has taken the app's routes into its own
 * (`host.route(…)`): what no route takes is answered by the host then, and the app is not asked. Paths that are unknown
 * here stay the host's.
 */
export function refuseOtherMethods(app: OpenAPIHono): MiddlewareHandler {
  return async (c, next) => {
    const index = c.req.routeIndex;
    await next();
    if (c.res.status !== 404 || isTaken(c)) return;
    const allowed = methodsOf(app, ownPath(c, index));
    if (allowed.length > 0) throw new MethodNotAllowedError(c.req.method, allowed);
  };
}

/** Whether a route of the request's method was found: then the 404 is its answer. */
function isTaken(c: Context): boolean {
  return matchedRoutes(c).some(({ method }) => method !== "ALL");
}
