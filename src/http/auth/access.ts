import { ForbiddenError, UnauthorizedError } from "../../errors.ts";
import type { Caller } from "./caller.ts";
import type { Requirement } from "./scope-table.ts";

/**
 * Refuses a caller that may not do what a route does.
 *
 * @param params - of the route's path
 * @throws {ForbiddenError} that names the scope which is missing
 * @throws {UnauthorizedError} when nobody calls, and somebody must
 */
export function refuseUnless(
  caller: Caller,
  requirement: Requirement,
  params: Readonly<Record<string, string>>,
): void {
  const { grants, principal } = caller;
  if (caller.kind === "anonymous")
    throw new UnauthorizedError("Authorization header missing", { missing: true });
  if (requirement.admin && !grants.isAdmin) throw new ForbiddenError("Only an administrator may do this.");
  const { anyOf } = requirement;
  const isGranted = anyOf.length === 0 || anyOf.some((scope) => isCovered(scope));
  if (!isGranted) {
    throw new ForbiddenError(`Insufficient permissions. Required scope(s): ${anyOf.join(" or ")}`, anyOf);
  }
  if (requirement.ofUser && !principal.unrestricted && principal.userId === undefined) {
    throw new ForbiddenError("Authenticated request is missing a user identity");
  }

  function isCovered(scope: string): boolean {
    if (requirement.for === "some") return grants.hasSome(scope);
    return grants.has(scope, requirement.for && params[requirement.for.param]);
  }
}
