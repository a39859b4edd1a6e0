import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ServiceAccount } from "../../db/stores/service-accounts.ts";
import { ConflictError, ForbiddenError, InvalidRequestError, UnauthorizedError } from "../../errors.ts";
import { accessOf, type Caller } from "../auth/caller.ts";
import { parseScope } from "../auth/scopes.ts";
import { displayPrefix, hashOf, newServiceAccountToken } from "../auth/service-account-tokens.ts";
import { createdResponse, errorResponses, jsonResponse } from "../describe.ts";
import { identifier } from "../identifiers.ts";
import { jsonBody, withJsonBody } from "../json-body.ts";
import { pagedSchema, pageMeta, pageQuery } from "../paging.ts";
import { type Served, serverStoreOf } from "../served.ts";
import {
  mintedAccountSchema,
  newServiceAccountBody,
  presentServiceAccount,
  serviceAccountSchema,
} from "../service-account-fields.ts";

const tags = ["Service accounts"];

const create = createRoute({
  method: "post",
  path: "/service-accounts",
  operationId: "create_service_account",
  summary: "Make a caller that is no person, and its token",
  description:
    "The token is told in this answer and never again. The account acts for itself: its data is that of the user `sa:<name>`.",
  tags,
  responses: createdResponse(
    "The account with its token.",
    mintedAccountSchema,
    400,
    401,
    403,
    409,
    413,
    415,
    422,
    503,
  ),
});

const list = createRoute({
  method: "get",
  path: "/service-accounts",
  operationId: "list_service_accounts",
  summary: "List the service accounts",
  tags,
  request: { query: z.object(pageQuery) },
  responses: jsonResponse(
    "A page of accounts, newest first.",
    pagedSchema(serviceAccountSchema, "ServiceAccountPage"),
    422,
    503,
  ),
});

const revoke = createRoute({
  method: "delete",
  path: "/service-accounts/{account_id}",
  operationId: "revoke_service_account",
  summary: "Revoke a service account",
  description: "Its token is worth nothing from now on, and its open streams end. The name is free again.",
  tags,
  request: { params: z.object({ account_id: identifier }) },
  responses: {
    204: { description: "It is revoked, or was, or never was." },
    ...errorResponses(422, 503),
  },
});

/** Accounts that are counted for a page at most. */
const mostCounted = 10_000;

const dayLength = 86_400_000;

/** Callers that are no persons: making, listing, revoking them. */
export function serviceAccountRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(withJsonBody(app, create, newServiceAccountBody), async (c): Promise<Response> => {
    const { caller } = accessOf(c);
    if (!served.auth || caller.kind === "open") {
      throw new UnauthorizedError(
        "Nobody calls here by name, so nobody can make an account: authorization is off.",
        { missing: true },
      );
    }
    const body = await jsonBody(c, served, newServiceAccountBody);
    const scopes = [...new Set(body.scopes)];
    refuseScopes(scopes, caller, { ...body, adminScope: served.auth.adminScope });
    const { accounts } = await serverStoreOf(served);
    const { token, accountId } = newServiceAccountToken();
    const now = Date.now();
    const account: ServiceAccount = {
      accountId,
      name: body.name,
      tokenHash: hashOf(token),
      tokenPrefix: displayPrefix(token),
      scopes,
      createdAt: now,
      ...(caller.principal.userId !== undefined && { createdBy: caller.principal.userId }),
      ...(!body.never_expires && { expiresAt: now + body.expires_in_days * dayLength }),
    };
    if (!(await accounts.create(account))) {
      throw new ConflictError(`A service account "${body.name}" is there. Revoke it, or take another name.`);
    }
    c.header("cache-control", "no-store");
    return c.json({ ...presentServiceAccount(account), token }, 201);
  });

  app.openapi(list, async (c): Promise<Response> => {
    const { page, limit } = c.req.valid("query");
    const since = performance.now();
    const store = await serverStoreOf(served);
    const { accounts, total } = await store.accounts.list({ limit, offset: (page - 1) * limit });
    return c.json({
      data: accounts.map(presentServiceAccount),
      meta: pageMeta({ page, limit, total, mostCounted, since }),
    });
  });

  app.openapi(revoke, async (c): Promise<Response> => {
    const { account_id } = c.req.valid("param");
    await (await serverStoreOf(served)).accounts.revoke(account_id, Date.now());
    served.auth?.revoked(account_id);
    return c.body(null, 204);
  });
}

/** @throws {InvalidRequestError} for what is no scope, or is dangerous and was not asked for as such */
function refuseScopes(
  scopes: readonly string[],
  { grants }: Caller,
  { adminScope, allow_privileged_scopes }: { adminScope: string; allow_privileged_scopes: boolean },
): void {
  const wrong = scopes.findIndex((scope) => !parseScope(scope));
  if (wrong >= 0) {
    throw InvalidRequestError.field(
      ["body", "scopes", wrong],
      'A scope looks like "agents:run" or "agents:copilot:run"',
      {
        input: scopes[wrong],
      },
    );
  }
  const wider = scopes.filter((scope) => !grants.covers(scope));
  if (wider.length > 0) {
    throw new ForbiddenError(`You may not give away what you do not have: ${wider.join(", ")}`, wider);
  }
  const privileged = scopes.filter((scope) => isPrivileged(scope, adminScope));
  if (privileged.length > 0 && !allow_privileged_scopes) {
    throw new InvalidRequestError(
      `These scopes are privileged: ${privileged.join(", ")}. Send allow_privileged_scopes: true if you mean it.`,
    );
  }
}

function isPrivileged(scope: string, adminScope: string): boolean {
  const { resource, action } = parseScope(scope)!;
  return (
    scope === adminScope ||
    resource === "service_accounts" ||
    ["write", "delete", "admin", "impersonate"].includes(action)
  );
}
