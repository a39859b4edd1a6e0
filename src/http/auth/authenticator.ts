import type { Context } from "hono";
import type { Logger } from "pino";
import { openPrincipal } from "../../db/principal.ts";
import type { ServerStore } from "../../db/server-store.ts";
import { UnauthorizedError } from "../../errors.ts";
import { AuditWriter } from "./audit-writer.ts";
import { accessOf, type Caller } from "./caller.ts";
import { clientAddress, clientNetwork } from "./client-address.ts";
import { OpenStreams, type StreamLife } from "./open-streams.ts";
import type { Authorization } from "./options.ts";
import { Grants } from "./scopes.ts";
import { isServiceAccountToken, sameSecret } from "./service-account-tokens.ts";
import { ServiceAccounts } from "./service-accounts.ts";
import { FailureThrottle } from "./throttle.ts";
import { TokenVerifier } from "./tokens.ts";

/** What an authenticator needs beside its options. */
export interface AuthenticatorParts {
  /** Opens the database first. */
  serverStore: () => Promise<ServerStore>;
  /** Proxies before the server. */
  proxies: number;
  logger: Logger;
}

/** The one key of a server that knows no users: whoever has it may do everything. */
export interface SecurityKey {
  readonly securityKey: string;
}

/** Knows who a request comes from: by a JSON Web Token or the security key, whichever is set up, or a service account. */
export class Authenticator {
  readonly mode: "jwt" | "security_key";
  readonly audit: AuditWriter;
  readonly #options: Authorization;
  readonly #tokens: TokenVerifier | undefined;
  readonly #securityKey: string | undefined;
  readonly #accounts: ServiceAccounts;
  readonly #streams: OpenStreams;
  readonly #throttle = new FailureThrottle();
  readonly #proxies: number;

  /** @throws {ConfigurationError} when there is no key, or keys and algorithms do not fit */
  constructor(options: Authorization & Partial<SecurityKey>, parts: AuthenticatorParts) {
    const { serverStore, proxies, logger } = parts;
    this.#options = options;
    this.#securityKey = options.securityKey;
    this.mode = options.securityKey === undefined ? "jwt" : "security_key";
    this.#tokens = options.securityKey === undefined ? new TokenVerifier(options, logger) : undefined;
    this.#accounts = new ServiceAccounts(serverStore, options, logger);
    this.audit = new AuditWriter(serverStore, options.auditDays, logger);
    this.#streams = new OpenStreams(serverStore, (token) => this.#tokens!.verify(token), logger);
    this.#tokens?.onKeysChanged(() => void this.#streams.keysChanged());
    this.#proxies = proxies;
  }

  /** The cookie that may hold a token. */
  get cookie(): string | undefined {
    return this.#options.cookie;
  }

  /** Whether users see their own data alone. With the one security key there are no users. */
  get userIsolation(): boolean {
    return this.mode === "jwt" && this.#options.userIsolation;
  }

  /** The scope that opens everything. */
  get adminScope(): string {
    return this.#options.adminScope;
  }

  /** Whether a path needs no token. */
  isPublic(path: string): boolean {
    return this.#options.publicPaths.some((open) =>
      open.endsWith("*") ? path.startsWith(open.slice(0, -1)) : path === open,
    );
  }

  /** Where a request comes from. */
  addressOf(c: Context): string {
    return clientAddress(c, this.#proxies);
  }

  /**
   * Whose token it is.
   *
   * @throws {UnauthorizedError} when it is nobody's
   * @throws {TooManyRequestsError} when it is nobody's, and the client has tried too many
   * @throws {UnavailableError} when that cannot be known now
   */
  async authenticate(token: string, c: Context): Promise<Caller> {
    if (isServiceAccountToken(token)) return this.#throttled(c, () => this.#accounts.verify(token));
    if (this.#tokens) return this.#tokens.verify(token);
    return this.#throttled(c, () => this.#withKey(token));
  }

  #withKey(token: string): Promise<Caller> {
    if (!sameSecret(token, this.#securityKey!)) {
      return Promise.reject(new UnauthorizedError("Invalid authentication token"));
    }
    return Promise.resolve({
      kind: "security_key",
      principal: openPrincipal,
      grants: Grants.all,
      mayImpersonate: false,
      tokenId: "security_key",
    });
  }

  /** A stream begins, which may go on as long as its caller's token is good. */
  streamLife(c: Context): StreamLife {
    return this.#streams.begin(accessOf(c));
  }

  /** A service account was revoked here. */
  revoked(accountId: string): void {
    this.#streams.revoked(accountId);
  }

  /** Writes what waits to be written. */
  async close(): Promise<void> {
    this.#streams.close();
    await this.audit.close();
  }

  /** A token of a JSON Web Token's kind cannot be guessed; these could be tried. */
  async #throttled(c: Context, verify: () => Promise<Caller>): Promise<Caller> {
    try {
      return await verify();
    } catch (error) {
      if (error instanceof UnauthorizedError) this.#throttle.failed(clientNetwork(this.addressOf(c)));
      throw error;
    }
  }
}
