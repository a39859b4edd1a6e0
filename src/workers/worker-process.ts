import cluster, { type Worker } from "node:cluster";
import type { Logger } from "pino";
import { ConfigurationError } from "../errors.ts";
import { type Failure, type Handlers, Line, type ToPrimary, type ToWorker } from "./line.ts";
import { closeLostConnection } from "./lost-connections.ts";
import { environmentOf, type WorkerPlace } from "./place.ts";

/** A worker, as the primary sees it: one process from its start to its end. */
export class WorkerProcess {
  readonly line: Line<ToWorker, ToPrimary>;
  /** Rejects with the reason where it ends before. */
  readonly listening: Promise<void>;
  /** Resolves with its exit code or the signal that killed it. Never rejects. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly #worker: Worker;
  #isListening = false;
  #isOver = false;

  /** Starts it. */
  constructor(place: WorkerPlace, handlers: Pick<Handlers<ToPrimary>, "port" | "others">, logger: Logger) {
    const worker = cluster.fork(environmentOf(place));
    this.#worker = worker;
    closeLostConnection(worker.process);
    const listening = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<number | NodeJS.Signals>();
    let failure: Failure | undefined;
    // One that cannot be sent what it is to know has ended, or is about to: that is told by itself.
    const send = (message: object) => void worker.send(message, undefined, () => undefined);
    const ofWorker = {
      ...handlers,
      listening: () => {
        this.#isListening = true;
        listening.resolve();
      },
      failed: (given: unknown) => {
        failure = given as Failure;
      },
    };
    this.line = new Line(send, ofWorker, logger);
    worker.on("message", (message) => this.line.take(message));
    const over = (how: number | NodeJS.Signals, reason: Error) => {
      this.#isOver = true;
      this.line.close();
      listening.reject(reason);
      ended.resolve(how);
    };
    worker.once("exit", (code, signal) => {
      const how = (signal as NodeJS.Signals | null) ?? code;
      over(how, failure ? errorOf(failure) : unexplained(place, how));
    });
    worker.on("error", (error) => {
      // Nothing else tells of a process that there never was.
      if (worker.process.pid === undefined) over(1, error);
    });
    this.listening = listening.promise;
    // Who does not wait for it learns of it by its end.
    this.listening.catch(() => undefined);
    this.ended = ended.promise;
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  get isListening(): boolean {
    return this.#isListening && !this.#isOver;
  }

  /**
   * Has it end in its order.
   *
   * @throws {Error} when it ends in another way
   */
  async stop(): Promise<void> {
    if (this.#isOver) return;
    if (!this.#isListening) {
      // It does nothing yet that would have to end.
      this.#worker.process.kill("SIGTERM");
      await this.ended;
      return;
    }
    void this.line.ask("stop");
    const how = await this.ended;
    if (how !== 0)
      throw new Error(`The worker with process id ${this.pid} ended with ${how} while it stopped.`);
  }
}

function errorOf({ message, stack }: Failure): Error {
  if (stack === undefined) return new ConfigurationError(message);
  return Object.assign(new Error(message), { stack });
}

function unexplained({ number }: WorkerPlace, how: number | NodeJS.Signals): Error {
  return new ConfigurationError(`serve(): worker ${number} ended with ${how} before it listened.`);
}
