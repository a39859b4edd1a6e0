import { Worker } from "node:worker_threads";

/** What a thread's user is told of it. */
interface Listeners<TTold> {
  onMessage: (told: TTold) => void;
  onError: (error: unknown) => void;
}

/** A thread that works beside the event loop. It does not hold a process that has nothing else to do. */
export class OwnThread<TAsked, TTold> {
  readonly #worker: Worker;
  /** Resolves once it has ended, however. */
  readonly ended: Promise<void>;

  /** @param url - of the module that it runs: the one that starts it, which looks at `workerData` */
  constructor(url: string, workerData: object, { onMessage, onError }: Listeners<TTold>) {
    // Options of the process are none of the thread's: some cannot be a thread's at all, and preloads would run in it too.
    this.#worker = new Worker(new URL(url), { workerData, execArgv: [] });
    this.ended = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.on("message", onMessage);
    this.#worker.on("error", onError);
    // After the listeners, for they would hold the process again.
    this.#worker.unref();
  }

  /** The process waits for it from now on, or no longer. */
  hold(isHeld: boolean): void {
    if (isHeld) this.#worker.ref();
    else this.#worker.unref();
  }

  /** @throws {DOMException | RangeError} when it cannot be sent */
  post(asked: TAsked): void {
    this.#worker.postMessage(asked);
  }

  /** Asks it to end. @returns once it has */
  async stop(asked: TAsked): Promise<void> {
    this.hold(true);
    this.post(asked);
    await this.ended;
  }
}
