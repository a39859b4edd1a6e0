import type { JsonObject } from "../events/json.ts";
import type { AuditLog, Config, Health, Home, Info, Ready } from "./answers.ts";
import type { CallOptions } from "./options.ts";
import type { Transport } from "./transport.ts";

/** Which entries of the audit log are meant. */
export interface AuditLogOptions extends CallOptions {
  outcome?: "denied" | "allowed";
  userId?: string;
  /** Default 100, at most 1,000. */
  limit?: number;
  /** The `meta.next_cursor` of another page. */
  cursor?: number;
}

/** What the server tells of itself. */
export class System {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Name and pointers. */
  home({ signal }: CallOptions = {}): Promise<Home> {
    return this.#transport.json({ method: "GET", path: [], signal });
  }

  /** Whether the process is alive. @throws {ApiError} 503 with `ready: true`, while it takes no runs */
  health({ signal, ...query }: CallOptions & { ready?: boolean } = {}): Promise<Health> {
    return this.#transport.json({ method: "GET", path: ["health"], query, signal });
  }

  /** Whether the server takes runs. @throws {ApiError} 503 while it does not */
  ready({ signal }: CallOptions = {}): Promise<Ready> {
    return this.#transport.json({ method: "GET", path: ["readyz"], signal });
  }

  /** Versions and counts. */
  info({ signal }: CallOptions = {}): Promise<Info> {
    return this.#transport.json({ method: "GET", path: ["info"], signal });
  }

  /** Agents, models and databases. */
  config({ signal }: CallOptions = {}): Promise<Config> {
    return this.#transport.json({ method: "GET", path: ["config"], signal });
  }

  /** The OpenAPI document. */
  openapi({ signal }: CallOptions = {}): Promise<JsonObject> {
    return this.#transport.json({ method: "GET", path: ["openapi.json"], signal });
  }

  /** What was refused, and what administrators did, newest first. */
  auditLog({ signal, ...query }: AuditLogOptions = {}): Promise<AuditLog> {
    return this.#transport.json({ method: "GET", path: ["audit-log"], query, signal });
  }

  /** The teams: there are none. */
  teams({ signal }: CallOptions = {}): Promise<unknown[]> {
    return this.#transport.json({ method: "GET", path: ["teams"], signal });
  }

  /** The workflows: there are none. */
  workflows({ signal }: CallOptions = {}): Promise<unknown[]> {
    return this.#transport.json({ method: "GET", path: ["workflows"], signal });
  }
}
