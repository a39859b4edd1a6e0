import type { Dispatcher } from "undici";

/** How an answer begins. */
export interface AnswerHead {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Bytes that wait for a reader from which on the sender is held back. */
const highWater = 64 * 1024;

/**
 * One request to a provider, and its answer as it comes. undici's own `request` makes a stream of every answer, which costs
 * more than a short answer itself.
 *
 * @example
 * const exchange = new Exchange(dispatcher, options, signal);
 * const { status } = await exchange.begun();
 * for (let bytes = await exchange.next(); bytes; bytes = await exchange.next()) read(bytes);
 */
export class Exchange {
  readonly #signal: AbortSignal;
  readonly #onAbort = () => this.#stop(this.#signal.reason);
  #controller: Dispatcher.DispatchController | undefined;
  #head: AnswerHead | undefined;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #failure: { reason: unknown } | undefined;
  #hasEnded = false;
  /** Nobody reads any more. */
  #isLeft = false;
  #onPiece: (() => void) | undefined;
  #onEnd: (() => void) | undefined;

  /** Sends the request. It is given up when the signal is aborted, with the signal's reason. */
  constructor(dispatcher: Dispatcher, options: Dispatcher.DispatchOptions, signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    dispatcher.dispatch(options, {
      onRequestStart: (controller) => {
        this.#controller = controller;
        if (this.#failure) controller.abort(asError(this.#failure.reason));
      },
      onResponseStart: (_, status, headers) => {
        this.#head = { status, headers };
        this.#onPiece?.();
      },
      onResponseData: (controller, piece) => {
        if (this.#isLeft) return;
        this.#pieces.push(piece);
        this.#bytes += piece.length;
        if (this.#onPiece) this.#onPiece();
        else if (this.#bytes > highWater && !this.#onEnd) controller.pause();
      },
      onResponseEnd: () => this.#end(),
      onResponseError: (_, error) => this.#fail(error),
    });
  }

  /**
   * Resolves when the answer begins.
   *
   * @throws what undici gives as the reason when it does not, or the signal's reason
   */
  async begun(): Promise<AnswerHead> {
    while (!this.#head) {
      if (this.#failure) throw this.#failure.reason;
      await this.#piece();
    }
    return this.#head;
  }

  /** What came since the last call, or what comes next; undefined at the end. @throws as {@link begun} */
  async next(): Promise<Buffer | undefined> {
    while (this.#pieces.length === 0) {
      if (this.#failure) throw this.#failure.reason;
      if (this.#hasEnded) return undefined;
      this.#controller?.resume();
      await this.#piece();
    }
    return this.#take();
  }

  /** The whole answer, or what is left of it, as text. @throws as {@link begun} */
  async text(): Promise<string> {
    if (!this.#hasEnded && !this.#failure) {
      const end = new Promise<void>((resolve) => {
        this.#onEnd = resolve;
      });
      this.#controller?.resume();
      await end;
    }
    if (this.#failure) throw this.#failure.reason;
    const text = this.#take().toString("utf8");
    return text.startsWith("\uFEFF") ? text.slice(1) : text;
  }

  /** Lets the rest of the answer come, unread, so that its connection serves the next request. */
  skipRest(): void {
    this.#isLeft = true;
    this.#pieces = [];
    this.#controller?.resume();
  }

  /** Gives up: the connection is closed unless the answer has come whole. */
  abandon(): void {
    this.#stop(new Error("The answer is not wanted any more."));
  }

  #take(): Buffer {
    const [first, ...more] = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return first && more.length === 0 ? first : Buffer.concat(first ? [first, ...more] : []);
  }

  #piece(): Promise<void> {
    return new Promise((resolve) => {
      this.#onPiece = () => {
        this.#onPiece = undefined;
        resolve();
      };
    });
  }

  #stop(reason: unknown): void {
    if (this.#hasEnded || this.#failure) return;
    this.#controller?.abort(asError(reason));
    this.#fail(reason);
  }

  #fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#end();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#onPiece?.();
    this.#onEnd?.();
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
