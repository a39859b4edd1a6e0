import type { Logger } from "pino";
import type { ServerStore } from "../../db/server-store.ts";
import type { Access } from "./caller.ts";
import { leeway } from "./tokens.ts";

/** Milliseconds between two looks whether accounts with open streams were revoked elsewhere. */
const lookEvery = 5_000;

/** The longest that a timer of Node can wait. */
const longestTimer = 2 ** 31 - 1;

/** How long a stream may go on. */
export interface StreamLife {
  /** Aborted when its token is no longer good. */
  readonly signal: AbortSignal;
  /** Says that the stream has ended. */
  done(): void;
}

interface OpenStream {
  readonly access: Access;
  readonly end: AbortController;
}

/** The streams that are open here: each ends with its token, and its reader takes it up again with a new one. */
export class OpenStreams {
  readonly #store: () => Promise<ServerStore>;
  readonly #verify: (token: string) => Promise<unknown>;
  readonly #logger: Logger;
  readonly #open = new Set<OpenStream>();
  #timer: NodeJS.Timeout | undefined;

  /** @param verify - rejects for a token that is no longer good */
  constructor(
    store: () => Promise<ServerStore>,
    verify: (token: string) => Promise<unknown>,
    logger: Logger,
  ) {
    this.#store = store;
    this.#verify = verify;
    this.#logger = logger;
  }

  /** A stream begins. */
  begin(access: Access): StreamLife {
    const stream = { access, end: new AbortController() };
    const timer = endAtExpiry(stream);
    this.#open.add(stream);
    if (access.caller.accountId !== undefined) {
      this.#timer ??= setInterval(() => void this.#look(), lookEvery).unref();
    }
    return {
      signal: stream.end.signal,
      done: () => {
        clearTimeout(timer);
        this.#open.delete(stream);
        if (this.#open.size === 0) this.close();
      },
    };
  }

  /** A service account was revoked: its streams end. */
  revoked(accountId: string): void {
    for (const { access, end } of this.#open) if (access.caller.accountId === accountId) end.abort();
  }

  /** The issuer's keys have changed: streams whose token they no longer verify end. */
  async keysChanged(): Promise<void> {
    const ofTokens = [...this.#open].filter(({ access }) => access.caller.kind === "token");
    await Promise.all(
      ofTokens.map((stream) =>
        this.#verify(stream.access.token ?? "").catch(() => {
          // It may have ended while its token was looked at.
          if (this.#open.has(stream)) stream.end.abort();
        }),
      ),
    );
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    const ids = [...new Set([...this.#open].flatMap(({ access }) => access.caller.accountId ?? []))];
    try {
      const valid = await (await this.#store()).accounts.stillValid(ids);
      for (const id of ids) if (!valid.has(id)) this.revoked(id);
    } catch (error) {
      this.#logger.warn({ err: error }, "whether service accounts were revoked is not known");
    }
  }
}

function endAtExpiry({ access, end }: OpenStream): NodeJS.Timeout | undefined {
  const { expiresAt } = access.caller;
  if (expiresAt === undefined) return undefined;
  const now = Date.now();
  // One that was taken in its leeway gets the rest of it: else its reader could but come and go.
  const left = (expiresAt > now ? expiresAt : expiresAt + leeway * 1000) - now;
  return left > longestTimer ? undefined : setTimeout(() => end.abort(), left).unref();
}
