import type { MintedServiceAccount, ServiceAccountPage } from "./answers.ts";
import type { CallOptions } from "./options.ts";
import type { PageOptions } from "./page.ts";
import type { Transport } from "./transport.ts";
import { onWire } from "./wire-names.ts";

/** What a new account may do, and for how long. */
export interface NewServiceAccountOptions extends CallOptions {
  /** No wider than those of whoever makes it. Default: running agents, reading sessions and the configuration. */
  scopes?: readonly string[];
  /** 1 to 3,650. Default 90. */
  expiresInDays?: number;
  neverExpires?: boolean;
  /** Must be true for scopes that write, delete, administrate, impersonate, or make accounts. */
  allowPrivilegedScopes?: boolean;
}

/** Callers that are no persons. */
export class ServiceAccounts {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Makes an account, and its token, which is told this once.
   *
   * @param name - lower-case letters, digits and `-`, at most 63
   * @throws {ApiError} 409 when the name is taken; 403 for scopes that the caller does not have
   */
  create(name: string, { signal, ...fields }: NewServiceAccountOptions = {}): Promise<MintedServiceAccount> {
    const body = onWire({ name, ...fields });
    return this.#transport.json({ method: "POST", path: ["service-accounts"], body, signal });
  }

  /** A page of accounts, newest first. */
  list({ signal, ...query }: PageOptions = {}): Promise<ServiceAccountPage> {
    return this.#transport.json({ method: "GET", path: ["service-accounts"], query, signal });
  }

  /** Revokes an account: its token is worth nothing from now on. */
  revoke(accountId: string, { signal }: CallOptions = {}): Promise<void> {
    return this.#transport.done({ method: "DELETE", path: ["service-accounts", accountId], signal });
  }
}
