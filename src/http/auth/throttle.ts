import { TooManyRequestsError } from "../../errors.ts";

/** Failed attempts that a client has. */
const mostFailures = 20;

/** Milliseconds after which they are forgotten. */
const window = 60_000;

/** Clients that are remembered. */
const mostClients = 10_000;

/**
 * Slows down whoever tries secrets. Only failed attempts are counted and refused: what is right gets through, however many
 * wrong ones came from the same place.
 */
export class FailureThrottle {
  readonly #failures = new Map<string, { count: number; since: number }>();

  /** Counts a failure. @throws {TooManyRequestsError} when the client has had too many */
  failed(client: string): void {
    const now = performance.now();
    const known = this.#failures.get(client);
    const entry = known && now - known.since < window ? known : { count: 0, since: now };
    entry.count++;
    this.#failures.delete(client);
    this.#failures.set(client, entry);
    if (this.#failures.size > mostClients) this.#failures.delete(this.#failures.keys().next().value!);
    if (entry.count <= mostFailures) return;
    throw new TooManyRequestsError(
      "Too many failed authentication attempts",
      (entry.since + window - now) / 1000,
    );
  }
}
