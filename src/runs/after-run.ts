import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import type { AskObserver } from "../agent/ask.ts";
import { ServerStoppedError } from "../errors.ts";
import type { Run } from "../events/run.ts";
import type { RunTelemetry } from "../telemetry/telemetry.ts";

/** What a piece of work hands on when it asks a model. */
export interface FollowingWork {
  /** Aborted when the process cannot wait any longer. */
  signal: AbortSignal;
  observer: AskObserver;
}

/** Is told the tokens that something took which is no run, and whose they are. */
export type OnUsed = (userId: string | undefined, tokens: number) => void;

/**
 * Work that follows a run and that nobody waits for: naming its session, summing it up, remembering. Work for the same
 * key is done one after another. A failure is logged, and is nobody else's.
 */
export class AfterRun {
  readonly #logger: Logger;
  readonly #onUsed: OnUsed | undefined;
  readonly #last = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(logger: Logger, onUsed?: OnUsed) {
    this.#logger = logger;
    this.#onUsed = onUsed;
  }

  /**
   * Begins a piece of work, or lets it wait for those before it.
   *
   * @param key - such as a session's id
   * @param name - what it is, for the log
   * @param run - what it follows
   * @param telemetry - that of the run: the work stands in its trace, and in the log under its trace's id
   * @param work - does it
   */
  add(
    key: string,
    name: string,
    run: Pick<Run, "run_id" | "session_id" | "agent_id" | "user_id">,
    telemetry: RunTelemetry | undefined,
    work: (asking: FollowingWork) => Promise<void>,
  ): void {
    const doIt = (chat?: AskObserver) =>
      work({
        signal: this.#stop.signal,
        observer: {
          modelRequested: (messages, stream) => chat?.modelRequested(messages, stream),
          modelAnswered: (message, usage) => {
            chat?.modelAnswered(message, usage);
            this.#onUsed?.(run.user_id, usage.total_tokens);
          },
        },
      });
    const before = this.#last.get(key) ?? Promise.resolve();
    const done = before
      .then(() => (telemetry ? telemetry.follow(name, doIt) : doIt()))
      .catch((error: unknown) => {
        const { run_id, session_id, agent_id } = run;
        const ids = { run_id, session_id, agent_id, ...(telemetry && { trace_id: telemetry.traceId }) };
        this.#logger.warn({ err: error, ...ids }, `${name} failed; the run is not affected`);
      });
    this.#last.set(key, done);
    void done.then(() => {
      if (this.#last.get(key) === done) this.#last.delete(key);
    });
  }

  /**
   * Resolves once nothing is left to do, or when the time is over: what is not done by then is left undone.
   *
   * @param limit - milliseconds
   */
  async settled(limit: number): Promise<void> {
    const over = wait(Math.max(0, limit), true, { ref: false });
    while (this.#last.size > 0) {
      if (await Promise.race([Promise.all(this.#last.values()).then(() => false), over])) break;
    }
    this.#stop.abort(new ServerStoppedError());
  }
}
