import type { AgentDefinition } from "../agent/definition.ts";
import type { ContinueRequest, Runner, RunRequest } from "../agent/runner.ts";
import type { Database } from "../db/database.ts";
import { openPrincipal, type Principal } from "../db/principal.ts";
import type { ClaimedRun } from "../db/queue.ts";
import type { IdempotencyKey, LogStanding } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import { LeaseLostError, RunCancelledError, ServerStoppedError, UnavailableError } from "../errors.ts";
import { newId } from "../events/ids.ts";
import { AfterRun } from "./after-run.ts";
import { Cancels } from "./cancels.ts";
import { Execution } from "./execution.ts";
import { HousekeepingRounds } from "./housekeeping.ts";
import { Intake } from "./intake.ts";
import type { LiveRun } from "./live-run.ts";
import { LiveRuns } from "./live-runs.ts";
import { LogWatch } from "./log-watch.ts";
import { defaultLogWriterOptions, LogWriter } from "./log-writer.ts";
import { defaultLeaseOptions, NodeLease } from "./node-lease.ts";
import { QueueWorker } from "./queue-worker.ts";
import { Reconciler } from "./reconcile.ts";
import type { LogEntry } from "./run-log.ts";
import {
  type Continued,
  defaultLogRetention,
  defaultQueueOptions,
  type RunnerOptions,
  type Submitted,
} from "./runner-options.ts";
import { type TakenUp, takeUp } from "./take-up.ts";
import { Turns } from "./turns.ts";

/**
 * The one owner of runs. It accepts them, pulls their events out of the agent loop, numbers and stores them, and sees
 * every run to its end, whoever is there to read it.
 */
export class DurableRunner implements Runner {
  readonly #db: Database;
  readonly #agents: ReadonlyMap<string, AgentDefinition> | undefined;
  readonly #writer: LogWriter;
  readonly #lease: NodeLease;
  readonly #watch: LogWatch;
  readonly #live: LiveRuns;
  readonly #cancels: Cancels;
  readonly #turns = new Turns();
  readonly #worker: QueueWorker;
  readonly #reconciler: Reconciler;
  readonly #housekeeping: HousekeepingRounds;
  readonly #afterRun: AfterRun;
  readonly #execution: Execution;
  readonly #intake: Intake;
  readonly #restored: (claimed: ClaimedRun) => Promise<TakenUp | undefined>;
  #unsubscribe: (() => void) | undefined;
  readonly #stopped = new AbortController();
  #draining = false;

  constructor(options: RunnerOptions) {
    this.#db = options.db;
    this.#agents = options.agents;
    this.#live = new LiveRuns((run) => this.#left(run));
    this.#cancels = new Cancels({ db: options.db, live: this.#live, logger: options.logger });
    this.#afterRun = new AfterRun(options.logger, options.onUsed);
    this.#execution = new Execution({
      logger: options.logger,
      afterRun: this.#afterRun,
      telemetry: options.telemetry,
      giveBack: async ({ runId, identity }) => {
        const queue = options.db.queue();
        if (!identity.background) return queue.end(runId, identity.attempt, new ServerStoppedError());
        await queue.release(runId, identity.attempt);
        options.db.signals().publish({ kind: "queue" });
      },
      end: ({ runId, identity }, reason) => options.db.queue().end(runId, identity.attempt, reason),
      onEnded: options.onEnded,
    });
    this.#lease = new NodeLease(newId(), {
      leases: () => options.db.leases(),
      options: { ...defaultLeaseOptions, ...options.lease },
      logger: options.logger,
      // Only one process can have a SQLite file open.
      isShared: options.db.engine !== "sqlite",
      onLost: () => {
        for (const run of this.#live.all) run.abort(new LeaseLostError());
      },
      onRequeued: () => this.#worker.wake(),
      onBeat: () => this.#reconciler.look(),
    });
    const logWriter = { ...defaultLogWriterOptions, ...options.logWriter };
    this.#writer = new LogWriter(options.db, logWriter, () => this.#lease.isHeld);
    this.#watch = new LogWatch({
      db: options.db,
      logger: options.logger,
      live: (runId) => this.#live.get(runId),
      storedWithin: logWriter.interval,
    });
    this.#reconciler = new Reconciler({
      queue: () => options.db.queue(),
      nodeId: this.#lease.nodeId,
      logger: options.logger,
      live: (runId) => this.#live.get(runId),
      isArriving: (runId) => this.#live.arriving.has(runId) || this.#worker.isClaiming,
    });
    this.#housekeeping = new HousekeepingRounds({
      housekeeping: () => options.db.housekeeping(),
      logRetention: options.logRetention ?? defaultLogRetention,
      logger: options.logger,
    });
    const queue = { ...defaultQueueOptions, ...options.queue };
    this.#worker = new QueueWorker({
      queue: () => options.db.queue(),
      nodeId: this.#lease.nodeId,
      agents: () => [...(options.agents?.keys() ?? [])],
      concurrency: queue.concurrency,
      logger: options.logger,
      run: (claimed, onCheckpoint) => this.#takeUp(claimed, onCheckpoint),
    });
    const load = () => options.telemetry?.load();
    this.#restored = firstAfter(load, (claimed) =>
      takeUp(claimed, {
        db: options.db,
        writer: this.#writer,
        logger: options.logger,
        agents: options.agents ?? new Map(),
      }),
    );
    this.#intake = new Intake({
      db: options.db,
      logger: options.logger,
      telemetry: options.telemetry,
      open: firstAfter(load, () => this.open()),
      limits: queue,
      writer: this.#writer,
      lease: this.#lease,
      live: this.#live,
      turns: this.#turns,
      worker: this.#worker,
      cancels: this.#cancels,
      execution: this.#execution,
    });
  }

  /** Aborted when this process stops and lets go of its readers. */
  get stopped(): AbortSignal {
    return this.#stopped.signal;
  }

  /** How many runs are under way here. */
  get liveRuns(): number {
    return this.#live.size;
  }

  /** Whether it may do runs: it can show the others that it lives. */
  get isHeld(): boolean {
    return this.#lease.isHeld;
  }

  /** Opens the database, takes the lease of this process, and begins to work off the queue. */
  async open(): Promise<void> {
    await this.#db.open();
    this.#watch.open();
    await this.#lease.hold();
    this.#unsubscribe ??= this.#db.signals().subscribe({
      signal: (signal) => {
        if (signal.kind === "cancel") this.#cancels.hear(signal.runId);
        if (signal.kind === "queue") this.#worker.wake();
        if (signal.kind === "session" && !this.#live.get(signal.runId)) this.#mayWait(signal.sessionId);
      },
      resync: () => this.#worker.wake(),
    });
    if (!this.#agents || this.#draining) return;
    this.#worker.start();
    this.#housekeeping.start();
  }

  /**
   * Accepts a run and starts it here.
   *
   * @param principal - on whose behalf; anybody's where absent
   * @throws {NotFoundError} when the session is another user's. Nothing was written then.
   * @throws {ConflictError} when the session is busy, and that was to be refused
   * @throws {UnavailableError} when the server stops or the database is away
   */
  async start(request: RunRequest, principal: Principal = openPrincipal): Promise<LiveRun> {
    const submitted = await this.submit(request, principal);
    if (submitted.kind !== "live") throw new Error(`a foreground run was ${submitted.kind}`);
    return submitted.run;
  }

  /**
   * Accepts a run. In foreground it starts here, in background it waits for whoever has room first.
   *
   * @param how - `key` names the request, so that it makes one run however often it is sent
   * @throws as {@link start}
   * @throws {QueueFullError} when too many background runs wait
   */
  async submit(
    request: RunRequest,
    principal: Principal,
    how: { background?: boolean; key?: IdempotencyKey } = {},
  ): Promise<Submitted> {
    this.#mustTakeMore();
    return this.#live.during(() => this.#intake.accept(request, principal, how));
  }

  /**
   * Goes on with a paused run, or makes a run of one that has ended: in foreground here, in background as soon as there is
   * room for it.
   *
   * @throws {NotFoundError} when there is no such run
   * @throws {InvalidRequestError} when the decisions do not fit what the run waits for; it stays paused
   * @throws {ConflictError} when the run was continued or cancelled already, or its tools are gone
   */
  async continueRun(
    request: ContinueRequest,
    principal: Principal,
    { background = false }: { background?: boolean } = {},
  ): Promise<Continued> {
    this.#mustTakeMore();
    return this.#live.during(() => this.#intake.continue(request, principal, background));
  }

  async continue(request: ContinueRequest): Promise<LiveRun> {
    const continued = await this.continueRun(request, openPrincipal);
    if (continued.kind !== "live") throw new Error(`a foreground run was ${continued.kind}`);
    return continued.run;
  }

  /** All runs that are under way here. */
  get underWay(): LiveRun[] {
    return this.#live.all;
  }

  /** A run that is under way here, and nowhere else. */
  live(runId: string): LiveRun | undefined {
    const run = this.#live.get(runId);
    return run && this.#lease.isHeld && !run.log.ended ? run : undefined;
  }

  /**
   * How a run and its log stand, wherever it is under way.
   *
   * @param after - index of the last event that a reader has: where another node streams the run, what it sent may not be
   *   stored yet, and is waited for
   * @throws {LogGoneError} when there is no such run
   */
  standing(runId: string, after = -1): Promise<LogStanding> {
    return this.#watch.standing(runId, after);
  }

  /**
   * Follows a run's log wherever it is: under way here or on another node, waiting, or over. Gives what is there, then
   * what comes, each event once and in order, and ends after the last event of a run that ended or paused.
   *
   * @param store - of whoever reads
   * @param after - index of the last event that the reader has; -1 for none
   * @param signal - ends it while it waits
   * @throws {LogGoneError} when the run or what follows of its log was deleted
   */
  follow(
    store: Store,
    runId: string,
    after: number,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly LogEntry[], void, void> {
    return this.#watch.follow(store, runId, after, signal);
  }

  /**
   * Cancels a run, wherever it is. One that is under way here has ended when this resolves, as has one that waited or was
   * paused; one that is under way elsewhere is told to stop. One that has ended stays as it is.
   */
  cancel(runId: string): Promise<void> {
    return this.#cancels.cancel(runId);
  }

  /**
   * Takes no more runs, and waits for those under way. What is not done in time ends as `error`.
   *
   * @param limit - milliseconds
   */
  async drain(limit: number): Promise<void> {
    this.#draining = true;
    this.#worker.stop();
    const since = performance.now();
    await this.#live.leave(limit);
    await this.#afterRun.settled(limit - (performance.now() - since));
    this.#watch.close();
    this.#stopped.abort();
    this.#unsubscribe?.();
    await this.#housekeeping.stop();
    await this.#lease.release();
  }

  #mustTakeMore(): void {
    if (this.#draining) throw new UnavailableError("The server is stopping. Try again.");
  }

  /** A run that is not under way here may wait for one of its session that is. */
  #mayWait(sessionId: string): void {
    if (this.#live.hasSession(sessionId)) this.#worker.waitsFor(sessionId);
  }

  /** A run is no longer under way here: who waited for its session may begin. */
  #left(run: LiveRun): Promise<void> | undefined {
    this.#turns.freed(run.sessionId);
    this.#worker.freed(run.sessionId);
    if (run.fold.status !== "paused") return undefined;
    return this.#live.during(() => this.#cancels.paused(run));
  }

  /** Sees a claimed run to its end, or to where it pauses or is given back. */
  async #takeUp(claimed: ClaimedRun, onCheckpoint: () => void): Promise<void> {
    const { run_id: runId } = claimed.row;
    this.#live.arriving.add(runId);
    const taken = await this.#restored(claimed);
    try {
      if (!taken) return;
      const { run, request, session, store, checkpoint } = taken;
      if (claimed.row.cancel_requested_at !== null) run.abort(new RunCancelledError());
      void run.checkpointed.then(onCheckpoint);
      await this.#live.keep(run, this.#execution.see(run, request, session, store, checkpoint));
    } finally {
      this.#live.arriving.delete(runId);
    }
  }
}

/** Does `work`, the first time after `load`: what only runs need is loaded before the first one, and not asked for again. */
function firstAfter<TArguments extends unknown[], TResult>(
  load: () => Promise<void> | undefined,
  work: (...given: TArguments) => Promise<TResult>,
): (...given: TArguments) => Promise<TResult> {
  let next = async (...given: TArguments) => {
    await load();
    next = work;
    return work(...given);
  };
  return (...given) => next(...given);
}
