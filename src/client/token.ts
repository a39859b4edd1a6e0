import { TokenError } from "./errors.ts";

/** A token, or a function that gets one: it is asked again when the token has expired, was refused, or a stream reconnects. */
export type TokenSource = string | (() => string | Promise<string>);

/** Seconds before its end at which a token counts as expired: the request still has to arrive. */
const leeway = 10;

/** A token that was got, and the Unix time in milliseconds after which it is not sent any more. */
interface HeldToken {
  text: string;
  end: number;
}

/** Holds the token of a client. */
export class Token {
  readonly #source: TokenSource | undefined;
  #held: Promise<HeldToken> | undefined;

  constructor(source: TokenSource | undefined) {
    this.#source = source;
  }

  /** Whether another token can be had when one is refused. */
  get canRenew(): boolean {
    return typeof this.#source === "function";
  }

  /**
   * The token to send, or none.
   *
   * @param refused - a token that must not be given again: another request may have got a new one meanwhile
   * @throws {TokenError} when the function fails
   */
  async get(refused?: string): Promise<string | undefined> {
    if (typeof this.#source !== "function") return this.#source;
    const known = this.#held;
    if (known) {
      const { text, end } = await known;
      if (Date.now() < end && text !== refused) return text;
    }
    // Another caller may have begun to ask meanwhile.
    if (this.#held === known) this.#held = undefined;
    this.#held ??= this.#ask(this.#source);
    return (await this.#held).text;
  }

  /** The next request asks the function again. */
  renew(): void {
    this.#held = undefined;
  }

  #ask(source: () => string | Promise<string>): Promise<HeldToken> {
    const asked = (async () => {
      try {
        const text = await source();
        return { text, end: endOf(text) };
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new TokenError(`No token could be got: ${reason}`, { cause });
      }
    })();
    // A failure is told to who asked, and not kept.
    asked.catch(() => {
      if (this.#held === asked) this.#held = undefined;
    });
    return asked;
  }
}

/** When a JSON Web Token ends, by its `exp`; never for any other token: that is the server's to say. */
function endOf(token: string): number {
  const claims = token.split(".")[1];
  if (claims === undefined) return Number.POSITIVE_INFINITY;
  try {
    const { exp } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))) as { exp?: unknown };
    return typeof exp === "number" ? (exp - leeway) * 1000 : Number.POSITIVE_INFINITY;
  } catch {
    // Not a JSON Web Token.
    return Number.POSITIVE_INFINITY;
  }
}
