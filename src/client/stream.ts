import { delayOf, pause } from "./backoff.ts";
import { ApiError, ConnectionError, StreamError, TokenError } from "./errors.ts";
import { SseParser } from "./sse.ts";
import { type ApiRequest, isPassing, type Transport } from "./transport.ts";

/** What a stream asks for, and what it makes of what comes. */
export interface StreamReader<T> {
  /** Asks for what follows the last event that was taken. */
  request(): ApiRequest;
  /**
   * Takes the data of a frame.
   *
   * @returns an event that is new; nothing for one that is known, and for what is no event
   */
  take(data: string): T | undefined;
  /** Whether nothing can follow the last event. */
  readonly isOver: boolean;
  /** Whether an answer that ends here has ended for good, and was not cut off. */
  readonly mayEndHere: boolean;
}

/**
 * Reads a stream to its end, over as many connections as it takes: what is cut off is taken up again, later and later
 * while nothing comes.
 *
 * @throws {ApiError} when the server refuses
 * @throws {ConnectionError} when it was tried as often as the options say, and nothing came
 */
export async function* readStream<T>(
  transport: Transport,
  reader: StreamReader<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, void> {
  const { retries, reconnects, retryDelay, maxRetryDelay, idleTimeout } = transport.settings;
  const seen: { retry: number | undefined } = { retry: undefined };
  let hasConnected = false;
  let hasBegun = false;
  for (let failures = 0; ; failures++) {
    signal?.throwIfAborted();
    const connection = new Connection(signal, idleTimeout);
    const openedAt = Date.now();
    let failure: unknown;
    try {
      const request = { ...reader.request(), signal: connection.signal };
      const response = await connection.withinTime(() => transport.open(request));
      if (response.status === 204) return;
      hasConnected = true;
      for await (const data of connection.frames(response, seen)) {
        const event = reader.take(data);
        if (event === undefined) continue;
        hasBegun = true;
        failures = 0;
        yield event;
        if (reader.isOver) return;
      }
      if (reader.mayEndHere) return;
      failure = new ConnectionError("The stream ended, and the run did not.");
    } catch (error) {
      signal?.throwIfAborted();
      if (!isPassing(error) && !(hasBegun && mayPassLater(error))) throw error;
      failure = error;
    } finally {
      connection.close();
    }
    // A connection that held for long and brought nothing is a run that thinks, or a session where nothing happens.
    if (Date.now() - openedAt > maxRetryDelay * 1000) failures = 0;
    const isRepeatable = reader.request().repeatable !== false;
    if (!isRepeatable || failures >= (hasConnected ? reconnects : retries)) throw failure;
    const retry = seen.retry === undefined ? undefined : seen.retry / 1000;
    const retryAfter = failure instanceof ApiError ? failure.retryAfter : undefined;
    const wait = {
      failures,
      first: retry ?? retryDelay,
      most: maxRetryDelay,
      atLeast: Math.max(retry ?? 0, retryAfter ?? 0),
    };
    await pause(delayOf(wait), signal);
    transport.token.renew();
  }
}

/** What only a stream that has begun comes back from. */
function mayPassLater(error: unknown): boolean {
  // Where there is no network, there is no token either.
  if (error instanceof TokenError) return true;
  // What was read may be more than a server stored that died since: the run's end is still to come.
  return error instanceof StreamError && error.errorType === "ahead_of_log";
}

/** One answer of a stream, which ends with the caller's signal, or when the server is silent for too long. */
class Connection {
  readonly #abort = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #idleTimeout: number;
  readonly #follow = () => this.#abort.abort(this.#caller?.reason);

  constructor(caller: AbortSignal | undefined, idleTimeout: number) {
    this.#caller = caller;
    this.#idleTimeout = idleTimeout;
    caller?.addEventListener("abort", this.#follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Lets go of the answer, read or not. */
  close(): void {
    this.#caller?.removeEventListener("abort", this.#follow);
    this.#abort.abort();
  }

  /** @throws {ConnectionError} when the server says nothing for too long */
  async withinTime<T>(work: () => Promise<T>): Promise<T> {
    const seconds = this.#idleTimeout;
    const silent = () => this.#abort.abort(new ConnectionError(`The server said nothing for ${seconds} s.`));
    const timer = setTimeout(silent, seconds * 1000);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  /** The data of its frames. */
  async *frames(response: Response, seen: { retry: number | undefined }): AsyncGenerator<string, void, void> {
    const type = response.headers.get("content-type") ?? "nothing";
    if (!response.body || !type.startsWith("text/event-stream")) {
      throw new StreamError(`A stream of events was asked for, and ${type} was answered.`);
    }
    const parser = new SseParser();
    const decoder = new TextDecoder();
    const body = response.body.getReader();
    while (true) {
      const { done, value } = await this.withinTime(() => body.read()).catch((cause: unknown) => {
        throw new ConnectionError("The stream was cut off.", { cause });
      });
      if (done) return;
      const frames = parser.push(decoder.decode(value, { stream: true }));
      seen.retry = parser.retry ?? seen.retry;
      yield* frames;
    }
  }
}
