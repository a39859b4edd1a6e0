import type { Context } from "hono";
import type { Logger } from "pino";
import type { AgentDefinition } from "../agent/definition.ts";
import type { Database } from "../db/database.ts";
import { openPrincipal, type Principal } from "../db/principal.ts";
import type { Store } from "../db/store.ts";
import { NotFoundError } from "../errors.ts";
import type { DurableRunner } from "../runs/runner.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

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
  /** Writes status in upper case, as clients of the original expect. */
  readonly agnoCompat: boolean;
  /** Bytes that a body may have. */
  readonly limits: { json: number; upload: number };
  /** Origins of pages that may read answers; undefined for any port of this machine. */
  readonly corsOrigins: readonly string[] | undefined;
  readonly startedAt: Date;
  /** Whether it has begun to stop. */
  stopping(): boolean;
}

/** On whose behalf a request is. */
export function principalOf(_c: Context): Principal {
  return openPrincipal;
}

/** The user that a call is about: the one that it names, or for a caller who is confined always its own. */
export function userOf(c: Context, given: string | undefined): string | undefined {
  const { unrestricted, userId } = principalOf(c);
  return unrestricted ? given : userId;
}

/** A handle on the database for whoever sent the request. */
export async function storeOf(served: Served, c: Context): Promise<Store> {
  await served.db.open();
  return served.db.storeFor(principalOf(c));
}

/** @throws {NotFoundError} when no such agent is served */
export function agentOf(served: Served, id: string): AgentDefinition {
  const agent = served.agents.get(id);
  if (!agent) throw new NotFoundError("Agent not found");
  return agent;
}
