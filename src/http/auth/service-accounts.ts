import type { Logger } from "pino";
import type { ServerStore } from "../../db/server-store.ts";
import type { ServiceAccount } from "../../db/stores/service-accounts.ts";
import { UnauthorizedError } from "../../errors.ts";
import type { Caller } from "./caller.ts";
import { Grants } from "./scopes.ts";
import { accountIdOf, hashOf, sameSecret } from "./service-account-tokens.ts";
import { principalFor, tokenIdOf } from "./tokens.ts";

/** Milliseconds between two notes that an account was used. */
const noteEvery = 60_000;

/** Turns tokens of service accounts into callers. Each is looked up anew: a revoked one is refused at once, on every node. */
export class ServiceAccounts {
  readonly #store: () => Promise<ServerStore>;
  readonly #adminScope: string;
  readonly #userIsolation: boolean;
  readonly #logger: Logger;
  readonly #notedAt = new Map<string, number>();

  constructor(
    store: () => Promise<ServerStore>,
    options: { adminScope: string; userIsolation: boolean },
    logger: Logger,
  ) {
    this.#store = store;
    this.#adminScope = options.adminScope;
    this.#userIsolation = options.userIsolation;
    this.#logger = logger;
  }

  /** @throws {UnauthorizedError} the same for a token that never was, is revoked, or is over */
  async verify(token: string): Promise<Caller> {
    const accountId = accountIdOf(token);
    const { accounts } = await this.#store();
    const account = accountId === undefined ? undefined : await accounts.get(accountId);
    // Compared in any case: that there is an account shows in no time.
    const isRight = sameSecret(hashOf(token), account?.tokenHash ?? "");
    const now = Date.now();
    const isOver = account?.expiresAt !== undefined && account.expiresAt <= now;
    if (!account || !isRight || account.revokedAt !== undefined || isOver) {
      throw new UnauthorizedError("Invalid or expired service account token");
    }
    this.#noteUse(account, now);
    const { scopes } = account;
    const grants = new Grants(scopes, this.#adminScope);
    return {
      kind: "service_account",
      principal: principalFor({
        userId: `sa:${account.name}`,
        scopes,
        grants,
        userIsolation: this.#userIsolation,
      }),
      grants,
      mayImpersonate: grants.has("users:impersonate"),
      tokenId: tokenIdOf(token),
      accountId: account.accountId,
      ...(account.expiresAt !== undefined && { expiresAt: account.expiresAt }),
    };
  }

  #noteUse({ accountId, lastUsedAt }: ServiceAccount, now: number): void {
    const noted = this.#notedAt.get(accountId) ?? lastUsedAt ?? 0;
    if (now - noted < noteEvery) return;
    this.#notedAt.set(accountId, now);
    this.#store()
      .then(({ accounts }) => accounts.used([accountId], now))
      .catch((error: unknown) => {
        this.#logger.warn({ err: error, account_id: accountId }, "the last use was not noted");
      });
  }
}
