import type { Context, MiddlewareHandler } from "hono";
import { ConfigurationError } from "../../errors.ts";
import { refuseUnless } from "./access.ts";
import { accessOf } from "./caller.ts";
import type { Requirement } from "./scope-table.ts";
import { parseScope } from "./scopes.ts";

const requirements = new WeakMap<object, Requirement>();

/** What a handler says that its route needs; undefined where it says nothing. */
export function requirementOf(handler: object): Requirement | undefined {
  return requirements.get(handler);
}

/**
 * Says which scope a route of your own needs: without, it is closed where authorization is on. Where authorization is off,
 * it lets everybody through.
 *
 * @param scope - `resource:action`, such as `reports:read`. None: any valid token will do.
 * @param options - `param`: the parameter of the path that names the one thing, so that `reports:<id>:read` is enough
 * @throws {ConfigurationError} when the scope is none
 * @example
 * app.get("/reports/:id", requireScope("reports:read", { param: "id" }), (c) => c.json(reportOf(principalOf(c).userId)));
 */
export function requireScope(scope?: string, options: { param?: string } = {}): MiddlewareHandler {
  if (
    scope !== undefined &&
    (typeof scope !== "string" || parseScope(scope)?.id !== undefined || !parseScope(scope))
  ) {
    throw new ConfigurationError(
      `requireScope: ${JSON.stringify(scope)} is no scope. It must look like "reports:read".`,
    );
  }
  const { param } = options;
  const requirement: Requirement = {
    anyOf: scope === undefined ? [] : [scope],
    ...(param !== undefined && { for: { param } }),
  };
  const middleware: MiddlewareHandler = async (c: Context, next) => {
    // The gate has looked already; here for a route of another app, which our gate may not have seen.
    refuseUnless(accessOf(c).caller, requirement, c.req.param());
    await next();
  };
  requirements.set(middleware, requirement);
  return middleware;
}
