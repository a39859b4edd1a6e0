import type { Context, MiddlewareHandler } from "hono";
import type { Logger } from "pino";
import type { Limits, RateState, Release } from "../../db/limits.ts";
import type { ServerStore } from "../../db/server-store.ts";
import { TooManyRequestsError } from "../../errors.ts";
import type { Run } from "../../events/run.ts";
import { accessOf } from "../auth/caller.ts";
import { clientAddress, clientNetwork } from "../auth/client-address.ts";
import type { UsageLimits, UsageOptions } from "./options.ts";

const minute = 60_000;
const dayLength = 86_400_000;

/** Whom something is counted for, and how much that one may do. */
interface Account {
  readonly whose: "user" | "client";
  readonly key: string;
  readonly limits: UsageLimits;
}

/** A run that was let in. */
export interface RunPlace {
  /** The run has begun: its place is free again when it ends. */
  follow(run: { ended(): Promise<Run> }): void;
  /** The run did not begin. */
  release(): void;
}

/** Counts what users and clients do, and refuses what is too much. */
export class Meter {
  readonly #options: UsageOptions;
  readonly #store: () => Promise<ServerStore>;
  readonly #proxies: number;
  readonly #logger: Logger;
  /** Undefined until something was counted. */
  #limits: Limits | undefined;

  constructor(
    options: UsageOptions,
    parts: { serverStore: () => Promise<ServerStore>; proxies: number; logger: Logger },
  ) {
    this.#options = options;
    this.#store = parts.serverStore;
    this.#proxies = parts.proxies;
    this.#logger = parts.logger;
  }

  /** Refuses a client that asks too often, before anything is done for it. */
  readonly ofClient: MiddlewareHandler = async (c, next) => {
    // A load balancer asks as often as it likes.
    if (!c.req.path.endsWith("/health")) await this.#request(c, this.#client(c));
    await next();
  };

  /** Refuses a user that asks too often. */
  readonly ofUser: MiddlewareHandler = async (c, next) => {
    const { principal, tokenId } = accessOf(c).caller;
    await this.#request(c, this.#user(principal.userId ?? tokenId));
    await next();
  };

  /**
   * Lets a run in.
   *
   * @throws {TooManyRequestsError} when too many are under way, or the day's tokens are used up
   */
  async startRun(c: Context, userId: string | undefined): Promise<RunPlace> {
    const client = this.#client(c);
    const accounts = [client, this.#user(userId)].filter((one) => one !== undefined);
    await this.#refuseSpent(accounts);
    const release = await this.#hold(accounts, "concurrentRuns", "runs under way", async () =>
      // A run without a user has no account that this would be asked for.
      (await this.#store()).backgroundRuns(userId ?? ""),
    );
    return {
      release,
      follow: (run) => {
        void run
          .ended()
          .then((ended) => client && this.#count(client, ended))
          // That a run could not be stored is told where it is waited for.
          .catch(() => undefined)
          .finally(release);
      },
    };
  }

  /** Lets a stream in. @throws {TooManyRequestsError} when too many are open */
  startStream(c: Context, userId: string | undefined): Promise<Release> {
    const accounts = [this.#client(c), this.#user(userId)].filter((one) => one !== undefined);
    return this.#hold(accounts, "concurrentStreams", "streams open");
  }

  /** A run has ended on this node, wherever it began: its tokens are its user's. */
  ended(run: Run): void {
    const user = this.#user(run.user_id);
    if (user) void this.#count(user, run);
  }

  /** Lets go of what is held here. */
  async close(): Promise<void> {
    try {
      await this.#limits?.close();
    } catch (error) {
      // Places that are not given back are free again within a minute.
      this.#logger.warn({ err: error }, "the places of what was under way were not given back");
    }
  }

  #client(c: Context): Account | undefined {
    const limits = this.#options.perIp;
    const address = clientAddress(c, this.#proxies);
    return limits && address !== ""
      ? { whose: "client", key: `ip:${clientNetwork(address)}`, limits }
      : undefined;
  }

  #user(userId: string | undefined): Account | undefined {
    const limits = this.#options.perUser;
    return limits && userId !== undefined ? { whose: "user", key: `user:${userId}`, limits } : undefined;
  }

  async #request(c: Context, account: Account | undefined): Promise<void> {
    const times = account?.limits.requestsPerMinute;
    if (account === undefined || times === undefined) return;
    const limits = await this.#counters();
    const state = await limits.take(`requests:${account.key}`, { times, per: minute });
    tell(c, account.whose, times, state);
    if (!state.allowed) {
      throw new TooManyRequestsError(
        `Too many requests: this ${account.whose} has ${times} a minute.`,
        state.wait / 1000,
      );
    }
  }

  async #refuseSpent(accounts: readonly Account[]): Promise<void> {
    const limited = accounts.filter((one) => one.limits.tokensPerDay !== undefined);
    if (limited.length === 0) return;
    const limits = await this.#counters();
    const now = Date.now();
    for (const { whose, key, limits: own } of limited) {
      if ((await limits.tokens(`tokens:${key}`, dayOf(now))) < own.tokensPerDay!) continue;
      throw new TooManyRequestsError(
        `The ${own.tokensPerDay} tokens that this ${whose} has a day are used up.`,
        (dayLength - (now % dayLength)) / 1000,
      );
    }
  }

  async #hold(
    accounts: readonly Account[],
    limit: "concurrentRuns" | "concurrentStreams",
    what: string,
    ofUser?: () => Promise<number>,
  ): Promise<Release> {
    const held: Release[] = [];
    const release = () => {
      for (const one of held.splice(0)) one();
    };
    for (const { whose, key, limits: own } of accounts) {
      const places = own[limit];
      if (places === undefined) continue;
      const others = whose === "user" ? ofUser : undefined;
      const one = await this.#place(`${limit}:${key}`, places, others).catch((error: unknown) => {
        release();
        throw error;
      });
      if (one) {
        held.push(one);
        continue;
      }
      release();
      throw new TooManyRequestsError(`This ${whose} has ${places} ${what}, and may have no more.`, 1);
    }
    return release;
  }

  async #counters(): Promise<Limits> {
    this.#limits = (await this.#store()).limits;
    return this.#limits;
  }

  async #place(
    key: string,
    places: number,
    others: (() => Promise<number>) | undefined,
  ): Promise<Release | undefined> {
    return (await this.#counters()).hold(key, places, others);
  }

  async #count({ key, limits: own }: Account, run: Run): Promise<void> {
    if (own.tokensPerDay === undefined || run.metrics.total_tokens === 0) return;
    try {
      const limits = await this.#counters();
      await limits.addTokens(`tokens:${key}`, dayOf(Date.now()), run.metrics.total_tokens);
    } catch (error) {
      this.#logger.warn({ err: error, run_id: run.run_id }, "the tokens of a run were not counted");
    }
  }
}

function dayOf(milliseconds: number): number {
  return Math.floor(milliseconds / dayLength);
}

/** @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ */
function tell(c: Context, whose: string, times: number, { remaining, wait }: RateState): void {
  c.header("RateLimit-Policy", `"${whose}";q=${times};w=${minute / 1000}`, { append: true });
  c.header("RateLimit", `"${whose}";r=${remaining};t=${Math.ceil(wait / 1000)}`, { append: true });
}
