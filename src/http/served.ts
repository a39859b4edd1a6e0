import type { Context } from "hono";
import type { Logger } from "pino";
import type { AgentDefinition } from "../agent/definition.ts";
import type { Database } from "../db/database.ts";
import type { Principal } from "../db/principal.ts";
import type { ServerStore } from "../db/server-store.ts";
import type { Store } from "../db/store.ts";
import { NotFoundError } from "../errors.ts";
import type { DurableRunner } from "../runs/runner.ts";
import type { Measured } from "../telemetry/meters.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Authenticator } from "./auth/authenticator.ts";
import { accessOf } from "./auth/caller.ts";
import type { Meter } from "./usage/meter.ts";

/** What the HTTP layer serves, and how. Made once, by the AgentOS. */
export interface Served {
  readonly id: string;
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly version: string;
  readonly agents: ReadonlyMap<string, AgentDefinition>;
  readonly db: Database;
  /** Whether the database goes with the process. */
  readonly inMemory: boolean;
  readonly runner: DurableRunner;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  /** Undefined where authorization is off. */
  readonly auth: Authenticator | undefined;
  /** Undefined where nothing is limited. */
  readonly meter: Meter | undefined;
  /** Writes status in upper case, as clients of the original expect. */
  readonly agnoCompat: boolean;
  /** Bytes that a body may have. */
  readonly limits: { json: number; upload: number };
  /** Origins of pages that may read answers; undefined for any port of this machine. */
  readonly corsOrigins: readonly string[] | undefined;
  readonly startedAt: Date;
  /** What the other workers on this port measured, where there are any. */
  otherWorkers(): Promise<readonly Measured[]>;
  /** Whether it has begun to stop. */
  stopping(): boolean;
}

/**
 * On whose behalf a request is: its caller, or the user that it names, where it may act for others. In a route of your own
 * it says who calls.
 *
 * @param named - the user that the request names
 */
export function principalOf(c: Context, named?: string): Principal {
  const access = accessOf(c);
  const { principal, mayImpersonate } = access.caller;
  if (!mayImpersonate || named === undefined || named === principal.userId) return principal;
  access.actedFor = named;
  return principal.unrestricted ? principal : { ...principal, userId: named };
}

/** The user whose data a call is about: the one that it names, or for a caller who is confined always its own. */
export function userOf(c: Context, named: string | undefined): string | undefined {
  const { unrestricted } = principalOf(c);
  return unrestricted ? named : principalOf(c, named).userId;
}

/**
 * The user whom something that is made belongs to: a session, a run, a memory. Where the caller has a user, and may not act
 * for others, always that one.
 */
export function ownerOf(c: Context, named: string | undefined): string | undefined {
  const { principal, mayImpersonate, kind } = accessOf(c).caller;
  if (kind === "open" || kind === "security_key") return named;
  return mayImpersonate ? (named ?? principal.userId) : principal.userId;
}

/**
 * A handle on the database for whoever sent the request.
 *
 * @param named - the user that the request names
 */
export async function storeOf(served: Served, c: Context, named?: string): Promise<Store> {
  await served.db.open();
  return served.db.storeFor(principalOf(c, named));
}

/** What the server keeps of its own, once the database is open. */
export async function serverStoreOf({ db }: Pick<Served, "db">): Promise<ServerStore> {
  await db.open();
  return db.serverStore();
}

/** Whether the caller may see what an agent did: one scope for this agent is enough. */
export function maySee(c: Context, agentId: string): boolean {
  const { grants } = accessOf(c).caller;
  return grants.has("agents:read", agentId) || grants.has("agents:run", agentId);
}

/** @throws {NotFoundError} when no such agent is served */
export function agentOf(served: Served, id: string): AgentDefinition {
  const agent = served.agents.get(id);
  if (!agent) throw new NotFoundError("Agent not found");
  return agent;
}
