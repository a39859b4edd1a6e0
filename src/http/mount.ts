import type { Context } from "hono";
import { basePath } from "hono/route";

/** What `@hono/node-server` hands in with a request. */
interface NodeBindings {
  incoming?: { url?: string };
}

/**
 * The path under which a host has taken the app's routes into its own (`host.route(…)`), as this request names it; empty
 * where it has none.
 */
export function routedUnder(c: Context, index: number = c.req.routeIndex): string {
  return basePath(c, index).replace(/\/$/, "");
}

/** The path of a request as the app's routes name it: without that under which a host has taken them. */
export function ownPath(c: Context, index?: number): string {
  return c.req.path.slice(routedUnder(c, index).length) || "/";
}

/**
 * The path under which the app is found from outside, encoded as in a URL; empty where that is the root. A host that hands
 * requests on (`host.mount(…)`) cuts its path off: Node still knows what was asked for.
 */
export function mountOf(c: Context): string {
  const { pathname } = new URL(c.req.url);
  const routed = pathname.split("/").slice(0, routedUnder(c).split("/").length).join("/");
  const asked = ((c.env ?? {}) as NodeBindings).incoming?.url?.split("?", 1)[0] ?? "";
  return (asked.endsWith(pathname) ? asked.slice(0, -pathname.length) : "") + routed;
}
