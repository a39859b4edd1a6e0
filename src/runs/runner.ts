import type { Logger } from "pino";
import type { Runner, RunRequest } from "../agent/runner.ts";
import type { Database } from "../db/database.ts";
import { openPrincipal, type Principal } from "../db/principal.ts";
import { RunCancelledError, RunLostError, ServerStoppedError, UnavailableError } from "../errors.ts";
import { newId } from "../events/ids.ts";
import { AfterRun } from "./after-run.ts";
import { Execution } from "./execution.ts";
import { LiveRun } from "./live-run.ts";
import { defaultLogWriterOptions, LogWriter, type LogWriterOptions } from "./log-writer.ts";
import { mediaOf } from "./media.ts";
import { defaultLeaseOptions, type LeaseOptions, NodeLease } from "./node-lease.ts";

/** What a runner needs. */
export interface RunnerOptions {
  db: Database;
  logger: Logger;
  logWriter?: Partial<LogWriterOptions>;
  lease?: Partial<LeaseOptions>;
}

/**
 * The one owner of runs. It accepts them, pulls their events out of the agent loop, numbers and stores them, and sees
 * every run to its end, whoever is there to read it.
 */
export class DurableRunner implements Runner {
  readonly #db: Database;
  readonly #writer: LogWriter;
  readonly #lease: NodeLease;
  readonly #live = new Map<string, LiveRun>();
  readonly #afterRun: AfterRun;
  readonly #execution: Execution;
  /** Runs that are being accepted. */
  #accepting = 0;
  #draining = false;
  /** Whether the time for runs under way is over. */
  #overdue = false;

  constructor(options: RunnerOptions) {
    this.#db = options.db;
    this.#afterRun = new AfterRun(options.logger);
    this.#execution = new Execution(options.logger, this.#afterRun);
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
    void this.#execution.see(run, request, session, store).finally(() => this.#live.delete(runId));
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
}
