import type { Context, MiddlewareHandler } from "hono";
import type { Logger } from "pino";
import type { Limits, RateState, Release } from "../../db/limits.ts";
import type { ServerStore } from "../../db/server-store.ts";
import { TooManyRequestsError } from "../../errors.ts";
import type { Run } from "../../events/run.ts";
import { accessOf } from "../auth/caller.ts";
import { clientAddress, clientNetwork } from "../auth/client-address.ts";
import { ownPath } from "../mount.ts";
import type { UsageLimits, UsageOptions } from "./options.ts";

const minute = 60_000;
const dayLength = 86_400_000;

/** Whom something is counted for, and how much that one may do. */
interface Account {
  readonly whose: "user" | "client";
  readonly key: string;
  readonly limits: UsageLimits;
}

/** A run, or another use of a model, that was let in. */
export interface RunPlace {
  /** The run has begun: its place is free again when it ends. */
  follow(run: { ended(): Promise<Run> }): void;
  /**
   * The run is stored, and waits for whoever has room: its user's place is its row from now on. Its client, which no row
   * names, keeps its own until the run ends.
   */
  followStored(run: { ended(): Promise<Run | undefined> }): void;
  /** What was no run has used tokens, and is over. */
  used(tokens: number): void;
  /** The run did not begin. */
  release(): void;
}

const unended: readonly Run["status"][] = ["pending", "running", "paused"];

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
    if (ownPath(c) !== "/health") await this.#request(c, this.#client(c));
    await next();
  };

  /** Refuses a user that asks too often. */
  readonly ofUser: MiddlewareHandler = async (c, next) => {
    const { principal, tokenId } = accessOf(c).caller;
    await this.#request(c, this.#user(principal.userId ?? tokenId));
    await next();
  };

  /**
   * Lets a run in, or another use of a model.
   *
   * @throws {TooManyRequestsError} when too many are under way, or the day's tokens are used up
   */
  async startRun(c: Context, userId: string | undefined): Promise<RunPlace> {
    const client = this.#client(c);
    const user = this.#user(userId);
    const accounts = [client, user].filter((one) => one !== undefined);
    await this.#refuseSpent(accounts);
    const hold = (account: Account | undefined) =>
      this.#hold(account ? [account] : [], "concurrentRuns", "runs under way", async () =>
        // A run without a user has no account that this would be asked for.
        (await this.#store()).backgroundRuns(userId ?? ""),
      );
    const leave = await hold(client);
    const leaveUser = await hold(user).catch((error: unknown) => {
      leave();
      throw error;
    });
    const release = () => {
      leave();
      leaveUser();
    };
    const countEnd = async (ended: Run | undefined) => {
      // One that is paused is counted when it has ended: its tokens are then those before the pause too.
      if (client && ended && !unended.includes(ended.status)) await this.#countRun(client, ended);
    };
    const follow = (run: { ended(): Promise<Run | undefined> }) => {
      void run
        .ended()
        .then(countEnd)
        // That a run could not be stored, or was deleted, is told where it is waited for.
        .catch(() => undefined)
        .finally(release);
    };
    return {
      release,
      follow,
      followStored: (run) => {
        leaveUser();
        if (client && (client.limits.concurrentRuns ?? client.limits.tokensPerDay) !== undefined) follow(run);
        else leave();
      },
      used: (tokens) => {
        release();
        for (const account of accounts) void this.#count(account, tokens);
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
    if (user) void this.#countRun(user, run);
  }

  /** Tokens were used by what follows a run, or by one that ended in no process: they are its user's. */
  used(userId: string | undefined, tokens: number): void {
    const user = this.#user(userId);
    if (user) void this.#count(user, tokens);
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

  #countRun(account: Account, { metrics, run_id }: Run): Promise<void> {
    return this.#count(account, metrics.total_tokens, { run_id });
  }

  async #count({ key, limits: own }: Account, tokens: number, logged: object = {}): Promise<void> {
    if (own.tokensPerDay === undefined || tokens === 0) return;
    try {
      const limits = await this.#counters();
      await limits.addTokens(`tokens:${key}`, dayOf(Date.now()), tokens);
    } catch (error) {
      this.#logger.warn({ err: error, ...logged }, "tokens that were used were not counted");
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
