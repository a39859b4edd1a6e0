import type { Context } from "hono";
import type { Principal } from "../../db/principal.ts";
import { openPrincipal } from "../../db/principal.ts";
import type { JsonObject } from "../../events/json.ts";
import { Grants } from "./scopes.ts";

/** Who sent a request. */
export interface Caller {
  /** How it said who it is; `open` where authorization is off, `anonymous` on a public path. */
  readonly kind: "open" | "anonymous" | "security_key" | "token" | "service_account";
  /** What it may see by itself. */
  readonly principal: Principal;
  readonly grants: Grants;
  /** Whether it may name a user to act for. */
  readonly mayImpersonate: boolean;
  /** What tells its token from others, and is no secret: its id, or the beginning of its hash. */
  readonly tokenId?: string;
  /** The service account that it is. */
  readonly accountId?: string;
  /** When its token ends, as Unix time in milliseconds. */
  readonly expiresAt?: number;
  /** The token's part of every run's dependencies. */
  readonly dependencies?: JsonObject;
  /** The token's part of every run's session state. */
  readonly sessionState?: JsonObject;
}

/** One request's caller, and what is learned about the request on its way. */
export interface Access {
  readonly caller: Caller;
  /** What the caller showed. It goes nowhere but back to where it was verified. */
  readonly token?: string;
  /** The user that it acted for, where that is not the caller itself. */
  actedFor?: string;
}

const openCaller: Caller = {
  kind: "open",
  principal: openPrincipal,
  grants: Grants.all,
  mayImpersonate: false,
};

/** Who calls a server without authorization. */
export const openAccess: Access = Object.freeze({ caller: openCaller });

const anonymous: Caller = {
  kind: "anonymous",
  principal: { scopes: [], unrestricted: false },
  grants: Grants.none,
  mayImpersonate: false,
};

/** Who calls a public path: nobody, with no right to anything that is stored. */
export const anonymousAccess: Access = Object.freeze({ caller: anonymous });

const key = "agentos.access";

/** Says who sent the request. */
export function setAccess(c: Context, access: Access): void {
  c.set(key, access);
}

/** Who sent the request. Nobody, where no middleware of ours has seen it: then nothing is open. */
export function accessOf(c: Context): Access {
  return (c.get(key) as Access | undefined) ?? anonymousAccess;
}
