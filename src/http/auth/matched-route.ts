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
    let undeclared = false;
    for (const [index, { handler, method, path }] of matchedRoutes(c).entries()) {
      const target = findTargetHandler(handler);
      const isOwn = this.#handlers.has(target);
      // A middleware of ours sees every request, and is no route.
      if (isOwn && method === "ALL") continue;
      const requirement = isOwn
        ? this.#requirements.get(`${method} ${path.slice(base.length) || "/"}`)
        : requirementOf(target);
      if (isOwn || requirement) return { params: paramsAt(c, index), requirement };
      undeclared = true;
    }
    return undeclared ? { params: {}, requirement: undefined } : undefined;
  }
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
