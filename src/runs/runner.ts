import type { Logger } from "pino";
import { type LoopResult, runLoop } from "../agent/loop.ts";
import type { LoopContext } from "../agent/loop-context.ts";
import type { Runner, RunRequest } from "../agent/runner.ts";
import type { Database } from "../db/database.ts";
import { openPrincipal, type Principal } from "../db/principal.ts";
import type { SessionStart } from "../db/records.ts";
import { stateChange } from "../db/session-state.ts";
import type { Store } from "../db/store.ts";
import {
  AgentOSError,
  RunCancelledError,
  RunLostError,
  RunTimeoutError,
  ServerStoppedError,
  UnavailableError,
} from "../errors.ts";
import { newId } from "../events/ids.ts";
import type { JsonObject } from "../events/json.ts";
import type { Run } from "../events/run.ts";
import type { TerminalEventBody } from "../events/run-events.ts";
import { AfterRun } from "./after-run.ts";
import { LiveRun } from "./live-run.ts";
import { defaultLogWriterOptions, LogWriter, type LogWriterOptions } from "./log-writer.ts";
import { mediaOf } from "./media.ts";
import { defaultLeaseOptions, type LeaseOptions, NodeLease } from "./node-lease.ts";
import { prepare, stateOf } from "./prepare.ts";
import { rememberRun } from "./remember.ts";
import { keepUp } from "./session-upkeep.ts";

/** What a runner needs. */
export interface RunnerOptions {
  db: Database;
  logger: Logger;
  logWriter?: Partial<LogWriterOptions>;
  lease?: Partial<LeaseOptions>;
  /** Is told each run that has ended here, once its end is stored. */
  onEnded?: (run: Run) => void;
}

/**
 * The one owner of runs. It accepts them, pulls their events out of the agent loop, numbers and stores them, and sees
 * every run to its end, whoever is there to read it.
 */
export class DurableRunner implements Runner {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #writer: LogWriter;
  readonly #lease: NodeLease;
  readonly #live = new Map<string, LiveRun>();
  readonly #afterRun: AfterRun;
  readonly #onEnded: ((run: Run) => void) | undefined;
  /** Runs that are being accepted. */
  #accepting = 0;
  #draining = false;
  /** Whether the time for runs under way is over. */
  #overdue = false;

  constructor(options: RunnerOptions) {
    this.#db = options.db;
    this.#logger = options.logger;
    this.#onEnded = options.onEnded;
    this.#afterRun = new AfterRun(options.logger);
    this.#lease = new NodeLease(newId(), {
      leases: () => options.db.leases(),
      options: { ...defaultLeaseOptions, ...options.lease },
      logger: options.logger,
      onLost: () => {
        for (const run of this.#live.values()) run.abort(new RunLostError(run.runId));
      },
    });
    this.#writer = new LogWriter(options.db, { ...defaultLogWriterOptions, ...options.logWriter });
  }

  /** How many runs are under way here. */
  get liveRuns(): number {
    return this.#live.size;
  }

  /** Opens the database, takes the lease of this process, and ends what dead processes left behind. */
  async open(): Promise<void> {
    await this.#db.open();
    await this.#lease.hold();
  }

  /**
   * Accepts a run and starts it.
   *
   * @param principal - on whose behalf; anybody's where absent
   * @throws {NotFoundError} when the session is another user's. Nothing was written then.
   * @throws {UnavailableError} when the server stops or the database is away
   */
  async start(request: RunRequest, principal: Principal = openPrincipal): Promise<LiveRun> {
    if (this.#draining) throw new UnavailableError("The server is stopping. Try again.");
    this.#accepting++;
    try {
      return await this.#accept(request, principal);
    } finally {
      this.#accepting--;
    }
  }

  async #accept(request: RunRequest, principal: Principal): Promise<LiveRun> {
    await this.open();
    const { agent } = request;
    const store = this.#db.storeFor(principal);
    const runId = `run_${newId()}`;
    const sessionId = request.sessionId ?? newId();
    const createdAt = Date.now();
    const media = mediaOf(request.attachments ?? []);
    const input = { input_content: request.message, ...media.references };
    const metadata = { ...agent.metadata, ...request.metadata };
    const session = await store.runs.accept({
      runId,
      sessionId,
      agentId: agent.id,
      userId: request.userId,
      nodeId: this.#lease.nodeId,
      background: false,
      input,
      metadata,
      model: agent.model.id,
      modelProvider: agent.model.provider,
      sessionState: { ...agent.sessionState, ...request.sessionState },
      media: media.stored,
      createdAt,
    });
    const run = new LiveRun(
      {
        runId,
        sessionId,
        agentId: agent.id,
        agentName: agent.name,
        userId: request.userId,
        attempt: 1,
        input,
        metadata,
        createdAt,
      },
      store,
      this.#writer,
    );
    this.#live.set(runId, run);
    if (this.#overdue) run.abort(new ServerStoppedError());
    void this.#see(run, request, session, store);
    return run;
  }

  /** All runs that are under way here. */
  get underWay(): LiveRun[] {
    return [...this.#live.values()];
  }

  /** A run that is under way here. */
  live(runId: string): LiveRun | undefined {
    return this.#live.get(runId);
  }

  /**
   * Cancels a run that is under way here, and waits until it has ended. Any other is left as it is.
   */
  async cancel(runId: string): Promise<void> {
    const run = this.#live.get(runId);
    if (!run) return;
    run.abort(new RunCancelledError("The run was cancelled."));
    // That its end could not be stored is told to its readers and to the log.
    await run.ended().catch(() => undefined);
  }

  /**
   * Takes no more runs, and waits for those under way. What is not done in time ends as `error`.
   *
   * @param limit - milliseconds
   */
  async drain(limit: number): Promise<void> {
    this.#draining = true;
    const since = performance.now();
    const timer = setTimeout(() => {
      this.#overdue = true;
      for (const run of this.#live.values()) run.abort(new ServerStoppedError());
    }, limit);
    while (this.#live.size > 0 || this.#accepting > 0) {
      await Promise.allSettled([...this.#live.values()].map((run) => run.ended()));
      await new Promise((resolve) => setImmediate(resolve));
    }
    clearTimeout(timer);
    await this.#afterRun.settled(limit - (performance.now() - since));
    await this.#lease.release();
  }

  /** Sees a run from its start to its end. Never rejects: a run's failure is its own business. */
  async #see(run: LiveRun, request: RunRequest, session: SessionStart, store: Store): Promise<void> {
    const { agent } = request;
    const release = limits(run, request);
    const state = stateOf(request, session);
    let end: TerminalEventBody;
    try {
      const result = await this.#drive(run, await prepare(run, request, session, state, store));
      end = { event: "RunCompleted", ...result, ...tail(run, state) };
    } catch (error) {
      end = this.#failed(run, error, isJson(state) ? state : session.state);
    }
    release();
    try {
      await run.end(end, stateChange(session.state, end.session_state));
      this.#logger.info(
        {
          run_id: run.runId,
          session_id: run.sessionId,
          agent_id: agent.id,
          status: run.fold.status,
          ...run.timing(),
        },
        "run ended",
      );
      this.#onEnded?.(run.toRun());
      if (end.event === "RunCompleted") {
        const ended = run.toRun();
        keepUp(this.#afterRun, { agent, run: ended, session, store });
        rememberRun(this.#afterRun, { agent, run: ended, store });
      }
    } catch (error) {
      this.#notStored(run, error);
    } finally {
      this.#live.delete(run.runId);
    }
  }

  /** Pulls the agent loop to its end. A loop that does not listen to the abort signal is left behind. */
  async #drive(run: LiveRun, context: LoopContext): Promise<LoopResult> {
    const loop = runLoop(context);
    let giveUp: (reason: unknown) => void = () => undefined;
    const onAbort = () => giveUp(run.signal.reason);
    run.signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (true) {
        const { done, value } = await new Promise<Awaited<ReturnType<typeof loop.next>>>(
          (resolve, reject) => {
            giveUp = reject;
            if (run.signal.aborted) reject(run.signal.reason);
            else loop.next().then(resolve, reject);
          },
        );
        if (done) return value;
        if (!("event" in value)) for (const event of value) run.append(event);
        else if (value.event === "Checkpoint") run.checkpoint();
        else run.append(value);
        if (run.full) await run.flush();
      }
    } finally {
      run.signal.removeEventListener("abort", onAbort);
      // Not awaited: a tool that never returns would hold the run's end back.
      loop.return({ content: "", content_type: "str" }).catch(() => undefined);
    }
  }

  #failed(run: LiveRun, error: unknown, state: JsonObject): TerminalEventBody {
    const reason = run.signal.aborted ? run.signal.reason : error;
    if (reason instanceof RunCancelledError) {
      const content = String(run.fold.content);
      return { event: "RunCancelled", content, reason: reason.message, ...tail(run, state) };
    }
    if (reason instanceof AgentOSError) {
      return { event: "RunError", content: reason.message, error_type: reason.code, ...tail(run, state) };
    }
    this.#logger.error(
      { err: reason, run_id: run.runId, session_id: run.sessionId },
      "run failed unexpectedly",
    );
    const content = `The run failed inside the server. Look for ${run.runId} in its log.`;
    return { event: "RunError", content, error_type: "internal_error", ...tail(run, state) };
  }

  #notStored(run: LiveRun, error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    this.#logger.error(
      { err: failure, run_id: run.runId, session_id: run.sessionId },
      "the run's end was not stored",
    );
    const known = failure instanceof AgentOSError;
    run.endUnstored(
      {
        event: "RunError",
        content: known
          ? failure.message
          : "The answer could not be stored, so it is not sent. Send the message again.",
        error_type: known ? failure.code : "not_stored",
        session_state: {},
        metrics: run.fold.metrics,
      },
      failure,
    );
  }
}

/** Lets the run's time limit and its caller's signal end it. Returns what lets go of both. */
function limits(run: LiveRun, { agent, signal }: RunRequest): () => void {
  const timer = setTimeout(() => run.abort(new RunTimeoutError(agent.timeLimit)), agent.timeLimit * 1000);
  const onAbort = () => run.abort(new RunCancelledError("The caller aborted the run."));
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  };
}

/** Whether a state can be stored: a tool may have put anything into it. */
function isJson(state: JsonObject): boolean {
  try {
    JSON.stringify(state);
    return true;
  } catch {
    return false;
  }
}

/** What every last event carries. The state is taken as JSON, which is what is stored of it. */
function tail(run: LiveRun, state: JsonObject): Pick<TerminalEventBody, "session_state" | "metrics"> {
  return {
    session_state: JSON.parse(JSON.stringify(state)) as JsonObject,
    metrics: { ...run.fold.metrics, ...run.timing() },
  };
}
