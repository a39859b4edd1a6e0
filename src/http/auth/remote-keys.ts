import type { Logger } from "pino";
import { UnavailableError } from "../../errors.ts";
import { readKeySet, type VerificationKey } from "./key.ts";

/** Milliseconds after which the issuer's keys are asked for again. */
const maxAge = 10 * 60_000;

/** Milliseconds between two requests at least, however many unknown key ids come in. */
const cooldown = 30_000;

/** Milliseconds that the issuer gets to answer. */
const timeout = 5_000;

/** Bytes that a key set may have. */
const maxBytes = 1024 ** 2;

/**
 * The keys of an issuer, from its JSON Web Key Set. They are fetched once, again when they are old or a token names an
 * unknown one, and kept while the issuer does not answer.
 */
export class RemoteKeys {
  readonly #url: string;
  readonly #logger: Logger;
  #keys: readonly VerificationKey[] | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;
  /** Told when the keys have changed. */
  readonly #onChange: () => void;

  constructor(url: string, logger: Logger, onChange: () => void) {
    this.#url = url;
    this.#logger = logger;
    this.#onChange = onChange;
  }

  /**
   * @param kid - the key that is looked for; where it is unknown, the issuer is asked whether there is a new one
   * @throws {UnavailableError} when there are no keys yet, and the issuer does not answer
   */
  async keys(kid: string | undefined): Promise<readonly VerificationKey[]> {
    const isKnown = this.#keys?.some((key) => kid === undefined || key.kid === kid) === true;
    if (!isKnown) await this.#refresh();
    else if (performance.now() - this.#fetchedAt > maxAge) void this.#refresh();
    if (!this.#keys) {
      throw new UnavailableError(
        "Authentication is temporarily unavailable: the issuer's keys cannot be had.",
      );
    }
    return this.#keys;
  }

  #refresh(): Promise<void> {
    if (this.#fetching) return this.#fetching;
    // Without any key nobody gets in: then it is worth asking sooner.
    const wait = this.#keys ? cooldown : 1_000;
    if (performance.now() - this.#triedAt < wait) return Promise.resolve();
    this.#triedAt = performance.now();
    this.#fetching = this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    try {
      const answer = await fetch(this.#url, {
        headers: { accept: "application/jwk-set+json, application/json" },
        signal: AbortSignal.timeout(timeout),
      });
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
      const keys = readKeySet(JSON.parse(await textOf(answer)));
      if (keys.length === 0) throw new Error("there is no key in it");
      const before = this.#keys;
      this.#keys = keys;
      this.#fetchedAt = performance.now();
      if (before && !sameKeys(before, keys)) this.#onChange();
    } catch (error) {
      this.#logger.warn(
        { err: error, has_keys: this.#keys !== undefined },
        "the issuer's key set cannot be had; the last one is used",
      );
    }
  }
}

/** The body, unless it is larger than any key set. */
async function textOf(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function sameKeys(a: readonly VerificationKey[], b: readonly VerificationKey[]): boolean {
  return a.length === b.length && a.every((one, i) => one.kid === b[i]!.kid && one.key.equals(b[i]!.key));
}
