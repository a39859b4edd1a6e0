import type { Context } from "hono";
import type { JsonObject } from "../../events/json.ts";
import { ownerOf } from "../served.ts";
import { accessOf } from "./caller.ts";

/** What a run's body says of whom it is for, and with what. */
interface GivenFields {
  userId?: string | undefined;
  sessionId?: string | undefined;
  sessionState?: JsonObject | undefined;
  dependencies?: JsonObject | undefined;
}

/** The fields of a run that a token has a say in: what it holds wins over what the body says. */
export function callerFields(c: Context, given: GivenFields) {
  const { caller } = accessOf(c);
  const userId = ownerOf(c, given.userId);
  const sessionId = caller.principal.sessionId ?? given.sessionId;
  const sessionState = merged(given.sessionState, caller.sessionState);
  const dependencies = merged(given.dependencies, caller.dependencies);
  return {
    scopes: caller.principal.scopes,
    ...(userId !== undefined && { userId }),
    ...(sessionId !== undefined && { sessionId }),
    ...(sessionState && { sessionState }),
    ...(dependencies && { dependencies }),
  };
}

/** What tells whether the caller has a scope: by its name, or because what it has covers it. */
export function hasScope(c: Context): (scope: string) => boolean {
  const { grants, principal } = accessOf(c).caller;
  return (scope) => principal.scopes.includes(scope) || grants.covers(scope);
}

function merged(given: JsonObject | undefined, ofToken: JsonObject | undefined): JsonObject | undefined {
  return given && ofToken ? { ...given, ...ofToken } : (ofToken ?? given);
}
