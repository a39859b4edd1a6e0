import type { Logger } from "pino";

/** Why a worker could not start. */
export interface Failure {
  readonly message: string;
  /** Where it came from; absent where the message says all, which is for whoever set the server up. */
  readonly stack?: string | undefined;
}

/** What a worker asks the primary for, or tells it. */
export type ToPrimary =
  /** The worker is about to listen: the port must be free. */
  | "port"
  | "listening"
  | "failed"
  /** What the other workers measured. */
  | "others";

/** What the primary asks a worker for, or tells it. */
export type ToWorker = "stop" | "hurry" | "stopListening" | "metrics";

/** What is done when something is asked. What it gives is the answer. */
export type Handlers<TAsked extends string> = Record<TAsked, (given: unknown) => unknown>;

type Message =
  | { agentos: "question"; id: number; name: string; given?: unknown }
  | { agentos: "answer"; id: number; answer?: unknown };

/** Questions and answers between the primary and one worker, over the channel that Node gives them. */
export class Line<TAsking extends string, TAsked extends string> {
  readonly #send: (message: Message) => void;
  readonly #handlers: Handlers<TAsked>;
  readonly #logger: Logger;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #asked = 0;
  #isClosed = false;

  constructor(send: (message: object) => void, handlers: Handlers<TAsked>, logger: Logger) {
    this.#send = send;
    this.#handlers = handlers;
    this.#logger = logger;
  }

  /**
   * Asks the other side.
   *
   * @param within - milliseconds that it has for its answer
   * @returns undefined where it is gone, or has not answered in time
   */
  ask(name: TAsking, given?: unknown, within?: number): Promise<unknown> {
    if (this.#isClosed) return Promise.resolve(undefined);
    const id = this.#asked++;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, resolve);
    const timer = within === undefined ? undefined : setTimeout(resolve, within);
    this.#send({ agentos: "question", id, name, given });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    });
  }

  /** Takes what came over the channel, which may be another's. */
  take(message: unknown): void {
    const ours = message as Partial<Message> | null;
    if (ours?.agentos === "answer") this.#waiting.get(ours.id!)?.(ours.answer);
    if (ours?.agentos === "question") void this.#answer(ours as Message & { agentos: "question" });
  }

  /** Nobody answers any more. */
  close(): void {
    this.#isClosed = true;
    for (const resolve of this.#waiting.values()) resolve(undefined);
  }

  async #answer({ id, name, given }: Message & { agentos: "question" }): Promise<void> {
    let answer: unknown;
    try {
      answer = await this.#handlers[name as TAsked](given);
    } catch (error) {
      this.#logger.error({ err: error, question: name }, "another process of this server was not answered");
    }
    if (!this.#isClosed) this.#send({ agentos: "answer", id, answer });
  }
}
