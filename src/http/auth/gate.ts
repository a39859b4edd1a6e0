import type { Context, MiddlewareHandler } from "hono";
import { AgentOSError, ForbiddenError } from "../../errors.ts";
import { ownPath, routedUnder } from "../mount.ts";
import { refuseUnless } from "./access.ts";
import type { Authenticator } from "./authenticator.ts";
import { type Access, anonymousAccess, openAccess, setAccess } from "./caller.ts";
import { credentialsOf } from "./credentials.ts";
import { refuseCrossSite } from "./csrf.ts";
import type { OwnRoutes } from "./matched-route.ts";
import type { Requirement } from "./scope-table.ts";
import { tokenIdOf } from "./tokens.ts";

/** Lets everybody through: authorization is off. */
export const openGate: MiddlewareHandler = (c, next) => {
  setAccess(c, openAccess);
  return next();
};

/**
 * Stands before every route: nobody gets past it without a token that is valid, and that lets its caller do what the route
 * does. What it decides against, and what administrators do, goes to the audit log.
 */
export function gate(auth: Authenticator, routes: OwnRoutes): MiddlewareHandler {
  return async (c, next) => {
    if (auth.isPublic(ownPath(c))) {
      setAccess(c, anonymousAccess);
      return next();
    }
    let access: Access | undefined;
    let requirement: Requirement | undefined;
    let token: string | undefined;
    try {
      const shown = credentialsOf(c, auth.cookie);
      token = shown.token;
      access = { caller: await auth.authenticate(token, c), token };
      if (shown.isCookie) refuseCrossSite(c);
      const route = routes.match(c, routedUnder(c));
      requirement = route?.requirement;
      if (route) refuseUnless(access.caller, requirement ?? closed(), route.params);
    } catch (error) {
      if (error instanceof AgentOSError && error.status < 500) {
        const tokenId = access?.caller.tokenId ?? (token === undefined ? undefined : tokenIdOf(token));
        auth.audit.denied({ ...entryOf(c, access, auth), tokenId }, error);
      }
      throw error;
    }
    setAccess(c, access);
    await next();
    if (isAudited(c, access, requirement)) {
      auth.audit.allowed(entryOf(c, access, auth), c.res.status);
    }
  };
}

function closed(): never {
  throw new ForbiddenError(
    'This route does not say which scope it needs, so it is closed. Add requireScope("resource:action") to it, or its path to publicPaths.',
  );
}

function isAudited(c: Context, access: Access, requirement: Requirement | undefined): boolean {
  if (access.actedFor !== undefined || requirement?.audited) return true;
  const changes = c.req.method !== "GET" && c.req.method !== "HEAD";
  return changes && (access.caller.grants.isAdmin || requirement?.admin === true);
}

function entryOf(c: Context, access: Access | undefined, auth: Authenticator) {
  return {
    userId: access?.caller.principal.userId,
    tokenId: access?.caller.tokenId,
    actedFor: access?.actedFor,
    address: auth.addressOf(c),
    method: c.req.method,
    path: c.req.path,
  };
}
