import type { Context } from "hono";
import { matchedRoutes } from "hono/route";
import type { RouterRoute } from "hono/types";
import { findTargetHandler } from "hono/utils/handler";
import { requirementOf } from "./require-scope.ts";
import { type Requirement, scopeTable, tableKey } from "./scope-table.ts";

/** What a request has come upon. */
export interface MatchedRoute {
  /** The values of the parameters, as the route's handler will get them. */
  readonly params: Readonly<Record<string, string>>;
  /** Undefined where nobody said: then it is closed. */
  readonly requirement: Requirement | undefined;
}

/** The routes that are ours, which the table is about. What others add says itself what it needs. */
export class OwnRoutes {
  readonly #handlers = new WeakSet<object>();
  readonly #requirements = new Map<string, Requirement>();

  /** Takes what an app has by now as ours. */
  take(routes: readonly RouterRoute[]): void {
    for (const { method, path, handler } of routes) {
      this.#handlers.add(findTargetHandler(handler));
      const key = tableKey(method, path);
      if (Object.hasOwn(scopeTable, key)) this.#requirements.set(`${method} ${path}`, scopeTable[key]!);
    }
  }

  /**
   * The route that a request has come upon; undefined where there is none, and the answer will be 404 or 405.
   *
   * @param base - the path under which a host has our app; empty where it has none
   */
  match(c: Context, base: string): MatchedRoute | undefined {
    let undeclared: RouterRoute | undefined;
    for (const [index, route] of matchedRoutes(c).entries()) {
      const { handler, method, path } = route;
      const target = findTargetHandler(handler);
      const isOwn = this.#handlers.has(target);
      // A middleware of ours sees every request, and is no route.
      if (isOwn && method === "ALL") continue;
      const requirement = isOwn
        ? this.#requirements.get(`${method} ${path.slice(base.length) || "/"}`)
        : requirementOf(target);
      // What would answer first decides: a declaration for another path that comes later says nothing about it.
      if (undeclared && undeclared.path !== path && isRoute(undeclared)) break;
      if (isOwn || requirement) return { params: paramsAt(c, index), requirement };
      if (!undeclared || !isRoute(undeclared)) undeclared = route;
    }
    return undeclared && { params: {}, requirement: undefined };
  }
}

/**
 * Whether it is there to answer. Hono does not tell: what is for every method, and for all under a path, and takes a `next`
 * to call, is held to be a middleware.
 */
function isRoute({ method, path, handler }: RouterRoute): boolean {
  return method !== "ALL" || !path.includes("*") || findTargetHandler(handler).length < 2;
}

/** The parameters as they are decoded for the handler at this place: a scope must be checked for the very id that is served. */
function paramsAt(c: Context, index: number): Record<string, string> {
  const current = c.req.routeIndex;
  c.req.routeIndex = index;
  try {
    return c.req.param();
  } finally {
    c.req.routeIndex = current;
  }
}
