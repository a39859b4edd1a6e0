import type { Logger } from "pino";
import type { AgentDefinition } from "../agent/definition.ts";
import type { ContinueRequest, Runner, RunOrigin, RunRequest } from "../agent/runner.ts";
import type { Database } from "../db/database.ts";
import { openPrincipal, type Principal } from "../db/principal.ts";
import type { ClaimedRun } from "../db/queue.ts";
import type { Admission, IdempotencyKey, LogStanding, QueueLimits, SessionStart } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import {
  LeaseLostError,
  RunCancelledError,
  RunReleasedError,
  ServerStoppedError,
  UnavailableError,
} from "../errors.ts";
import { newId } from "../events/ids.ts";
import type { Run, RunLineage } from "../events/run.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { AfterRun } from "./after-run.ts";
import { continuationOf } from "./continue.ts";
import { Execution } from "./execution.ts";
import { HousekeepingRounds } from "./housekeeping.ts";
import { LiveRun } from "./live-run.ts";
import { LogWatch } from "./log-watch.ts";
import { defaultLogWriterOptions, LogWriter, type LogWriterOptions } from "./log-writer.ts";
import { mediaOf } from "./media.ts";
import { defaultLeaseOptions, type LeaseOptions, NodeLease } from "./node-lease.ts";
import { QueueWorker } from "./queue-worker.ts";
import { Reconciler } from "./reconcile.ts";
import { type RestoredRun, restore } from "./restore.ts";
import type { LogEntry } from "./run-log.ts";
import { storedRequest } from "./stored-request.ts";
import { takeUp } from "./take-up.ts";
import { Turns } from "./turns.ts";

/** What became of a continue, and the index of the last event before those that it makes. */
export type Continued = Submitted & { shownAfter: number };

/** How background runs wait and run. */
export interface QueueOptions extends QueueLimits {
  /** Background runs that one process does at the same time. */
  concurrency: number;
}

/** What a runner does where nothing else is said. */
export const defaultQueueOptions: QueueOptions = { concurrency: 32, total: 10_000, user: 1000, session: 100 };

const defaultLogRetention = 24 * 60 * 60 * 1000;

/** What a runner needs. */
export interface RunnerOptions {
  db: Database;
  logger: Logger;
  /** The agents whose background runs it does, by id. Without, it does none. */
  agents?: ReadonlyMap<string, AgentDefinition>;
  logWriter?: Partial<LogWriterOptions>;
  lease?: Partial<LeaseOptions>;
  /** Is told each run that has ended here, once its end is stored. */
  onEnded?: (run: Run) => void;
  queue?: Partial<QueueOptions>;
  /** Milliseconds for which the log of a run is kept after its end. Default a day. */
  logRetention?: number;
  /** Listens to the runs. */
  telemetry?: Telemetry;
}

/** What became of a request for a run. */
export type Submitted =
  /** It is seen to its end here. */
  | { kind: "live"; run: LiveRun }
  /** It waits for whoever has room for it. */
  | { kind: "queued"; runId: string; sessionId: string }
  /** The same key was sent before, with the same request or with another one. */
  | { kind: "repeated"; runId: string; isSame: boolean };

/**
 * The one owner of runs. It accepts them, pulls their events out of the agent loop, numbers and stores them, and sees
 * every run to its end, whoever is there to read it.
 */
export class DurableRunner implements Runner {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #agents: ReadonlyMap<string, AgentDefinition> | undefined;
  readonly #telemetry: Telemetry | undefined;
  readonly #writer: LogWriter;
  readonly #lease: NodeLease;
  readonly #watch: LogWatch;
  readonly #live = new Map<string, LiveRun>();
  readonly #turns = new Turns();
  readonly #limits: QueueLimits;
  readonly #worker: QueueWorker;
  readonly #reconciler: Reconciler;
  readonly #housekeeping: HousekeepingRounds;
  readonly #afterRun: AfterRun;
  readonly #execution: Execution;
  /** Sessions whose background runs may wait for one of their others to end. */
  readonly #queued = new Set<string>();
  #unsubscribe: (() => void) | undefined;
  /** Ids of runs that are accepted or claimed, and not yet under way. */
  readonly #arriving = new Set<string>();
  /** Runs that are being accepted, or that have paused and are looked at once more. */
  #accepting = 0;
  readonly #stopped = new AbortController();
  #draining = false;
  /** Whether the time for runs under way is over. */
  #overdue = false;

  constructor(options: RunnerOptions) {
    this.#db = options.db;
    this.#logger = options.logger;
    this.#agents = options.agents;
    this.#telemetry = options.telemetry;
    this.#afterRun = new AfterRun(options.logger);
    this.#execution = new Execution({
      logger: options.logger,
      afterRun: this.#afterRun,
      telemetry: options.telemetry,
      giveBack: ({ runId, identity }) =>
        identity.background
          ? options.db.queue().release(runId, identity.attempt)
          : options.db.queue().end(runId, identity.attempt, new ServerStoppedError()),
      onEnded: options.onEnded,
    });
    this.#lease = new NodeLease(newId(), {
      leases: () => options.db.leases(),
      options: { ...defaultLeaseOptions, ...options.lease },
      logger: options.logger,
      // Only one process can have a SQLite file open.
      isShared: options.db.engine !== "sqlite",
      onLost: () => {
        for (const run of this.#live.values()) run.abort(new LeaseLostError());
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
      isArriving: (runId) => this.#arriving.has(runId) || this.#worker.isClaiming,
    });
    this.#housekeeping = new HousekeepingRounds({
      housekeeping: () => options.db.housekeeping(),
      logRetention: options.logRetention ?? defaultLogRetention,
      logger: options.logger,
    });
    const queue = { ...defaultQueueOptions, ...options.queue };
    this.#limits = queue;
    this.#worker = new QueueWorker({
      queue: () => options.db.queue(),
      nodeId: this.#lease.nodeId,
      agents: () => [...(options.agents?.keys() ?? [])],
      concurrency: queue.concurrency,
      logger: options.logger,
      run: (claimed, onCheckpoint) => this.#takeUp(claimed, onCheckpoint),
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
        if (signal.kind === "cancel") this.#live.get(signal.runId)?.abort(cancelled());
        if (signal.kind === "queue") this.#worker.wake();
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
    if (this.#draining) throw new UnavailableError("The server is stopping. Try again.");
    this.#accepting++;
    try {
      return await this.#accept(request, principal, how);
    } finally {
      this.#accepting--;
    }
  }

  async #accept(
    request: RunRequest,
    principal: Principal,
    { background = false, key }: { background?: boolean; key?: IdempotencyKey },
  ): Promise<Submitted> {
    const since = performance.now();
    // Asked for before anything is awaited: it is that of the caller's code.
    const traceparent = this.#telemetry?.parentOf(request.traceparent);
    await this.open();
    if (!background) this.#lease.mustBeHeld();
    const { agent, onBusy = background ? "enqueue" : "parallel" } = request;
    const store = this.#db.storeFor(principal);
    const runId = `run_${newId()}`;
    const sessionId = request.sessionId ?? newId();
    const createdAt = Date.now();
    const media = mediaOf(request.attachments ?? []);
    const input = { input_content: request.message, ...media.references };
    const metadata = { ...agent.metadata, ...request.metadata };
    const waits = onBusy === "enqueue" || onBusy === "interrupt";
    const begins = !background && !waits;
    const lineage = request.origin && lineageFrom(request.origin);
    const admission: Admission = {
      limits: this.#limits,
      ...(onBusy === "reject" || onBusy === "interrupt" ? { ifBusy: onBusy } : {}),
      ...(key && { key }),
    };
    this.#arriving.add(runId);
    const acceptance = await store.runs
      .accept(
        {
          runId,
          sessionId,
          agentId: agent.id,
          userId: request.userId,
          nodeId: background ? undefined : this.#lease.nodeId,
          begins,
          background,
          waits,
          request: background ? storedRequest(request) : null,
          ...(lineage && { lineage }),
          input,
          metadata,
          model: agent.model.id,
          modelProvider: agent.model.provider,
          sessionState: { ...agent.sessionState, ...request.sessionState },
          media: media.stored,
          createdAt,
          ...(traceparent !== undefined && { traceparent }),
        },
        admission,
      )
      .finally(() => this.#arriving.delete(runId));
    if (acceptance.kind === "repeated") return acceptance;
    for (const other of acceptance.interrupted) this.#interrupt(other);
    this.#db.signals().publish({ kind: "session", sessionId, runId });
    if (background) {
      this.#waits(sessionId);
      return { kind: "queued", runId, sessionId };
    }
    const run = new LiveRun(
      {
        runId,
        sessionId,
        agentId: agent.id,
        agentName: agent.name,
        userId: request.userId,
        background: false,
        attempt: 1,
        input,
        metadata,
        createdAt,
        ...(lineage && { lineage }),
        ...(traceparent !== undefined && { traceparent }),
        ...(begins && { since }),
      },
      store,
      this.#writer,
    );
    const { session } = acceptance;
    void this.#keep(
      run,
      begins ? this.#see(run, request, session, store) : this.#wait(run, request, session, store),
    );
    return { kind: "live", run };
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
    if (this.#draining) throw new UnavailableError("The server is stopping. Try again.");
    this.#accepting++;
    this.#arriving.add(request.runId);
    try {
      await this.open();
      if (!background) this.#lease.mustBeHeld();
      const store = this.#db.storeFor(principal);
      const next = await continuationOf(request, store, background ? undefined : this.#lease.nodeId);
      if (next.kind === "anew") {
        const submitted = await this.#accept(next.request, principal, { background });
        return { ...submitted, shownAfter: -1 };
      }
      const { row, lastIndex } = next.progress;
      this.#db.signals().publish({ kind: "session", sessionId: row.session_id, runId: row.run_id });
      const shownAfter = lastIndex - 1;
      if (background) {
        this.#waits(row.session_id);
        return { kind: "queued", runId: row.run_id, sessionId: row.session_id, shownAfter };
      }
      const { agent, signal, dependencies, output } = request;
      const restored = restore(next.progress, { agent, attempt: row.attempt, store, writer: this.#writer });
      const { run } = restored;
      const again = {
        ...restored.request,
        ...(signal && { signal }),
        ...(dependencies && { dependencies }),
        ...(output && { output }),
      };
      void this.#goOn({ ...restored, request: again }, store);
      return { kind: "live", run, shownAfter };
    } finally {
      this.#arriving.delete(request.runId);
      this.#accepting--;
    }
  }

  async continue(request: ContinueRequest): Promise<LiveRun> {
    const continued = await this.continueRun(request, openPrincipal);
    if (continued.kind !== "live") throw new Error(`a foreground run was ${continued.kind}`);
    return continued.run;
  }

  /** Notes that a background run of a session waits, here or for another process. */
  #waits(sessionId: string): void {
    this.#queued.add(sessionId);
    if (this.#worker.isFull) this.#db.signals().publish({ kind: "queue" });
    this.#worker.wake();
  }

  /** All runs that are under way here. */
  get underWay(): LiveRun[] {
    return [...this.#live.values()];
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
  async cancel(runId: string): Promise<void> {
    const run = this.#live.get(runId);
    run?.abort(cancelled());
    // Of a foreground run here, its own end is all that has to be written, also where it waits still.
    if (!run || run.identity.background) await this.#cancelStored(runId, !run);
    // That its end could not be stored is told to its readers and to the log.
    const ended = await run?.ended().catch(() => undefined);
    // It was about to pause when it was told, and its cancel is answered once it is done.
    if (ended?.status === "paused") await this.#cancelStored(runId, true);
  }

  /** Cancels a run in the database. @param elsewhere - whether it may be under way in another process */
  async #cancelStored(runId: string, elsewhere: boolean): Promise<void> {
    const found = await this.#db.queue().cancel(runId, cancelled());
    if (found?.endedAt !== undefined) {
      this.#db.signals().publish({ kind: "log", runId, index: found.endedAt });
    } else if (found?.status === "running" && elsewhere) {
      this.#db.signals().publish({ kind: "cancel", runId });
    }
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
    const timer = setTimeout(() => {
      this.#overdue = true;
      for (const run of this.#live.values()) run.abort(stopped(run));
    }, limit);
    for (const run of this.#live.values()) run.release();
    while (this.#live.size > 0 || this.#accepting > 0) {
      await Promise.allSettled([...this.#live.values()].map((run) => run.ended()));
      await new Promise((resolve) => setImmediate(resolve));
    }
    clearTimeout(timer);
    await this.#afterRun.settled(limit - (performance.now() - since));
    this.#watch.close();
    this.#stopped.abort();
    this.#unsubscribe?.();
    await this.#housekeeping.stop();
    await this.#lease.release();
  }

  /** Holds a run as one that is under way here until its work is done. */
  async #keep(run: LiveRun, work: Promise<void>): Promise<void> {
    this.#live.set(run.runId, run);
    if (this.#draining) run.release();
    if (this.#overdue) run.abort(stopped(run));
    try {
      await work;
    } finally {
      // It may have paused, and go on here already.
      if (this.#live.get(run.runId) === run) this.#live.delete(run.runId);
      this.#turns.freed(run.sessionId);
      if (this.#queued.delete(run.sessionId)) this.#worker.wake();
    }
    if (run.fold.status === "paused") await this.#cancelPaused(run);
  }

  /** A cancel that came while the run paused, from here or from elsewhere, found nobody who would end it. */
  async #cancelPaused(run: LiveRun): Promise<void> {
    this.#accepting++;
    try {
      if (run.signal.reason instanceof RunCancelledError) return await this.#cancelStored(run.runId, false);
      const index = await this.#db.queue().cancelPaused(run.runId, cancelled());
      if (index !== undefined) this.#db.signals().publish({ kind: "log", runId: run.runId, index });
    } catch (error) {
      this.#logger.error({ err: error, run_id: run.runId }, "a paused run could not be cancelled");
    } finally {
      this.#accepting--;
    }
  }

  #see(run: LiveRun, request: RunRequest, session: SessionStart, store: Store): Promise<void> {
    return this.#execution.see(run, request, session, store);
  }

  /** Sees a run to its end that was begun before. */
  #goOn({ run, request, session, checkpoint }: RestoredRun, store: Store): Promise<void> {
    return this.#keep(run, this.#execution.see(run, request, session, store, checkpoint));
  }

  /** Lets a foreground run wait until the earlier runs of its session have ended. */
  async #wait(run: LiveRun, request: RunRequest, session: SessionStart, store: Store): Promise<void> {
    const onAbort = () => run.abort(new RunCancelledError("The caller aborted the run."));
    request.signal?.addEventListener("abort", onAbort, { once: true });
    const turn = this.#turns.join(run.sessionId);
    try {
      while (true) {
        const now = await this.#db.queue().begin(run.runId, run.signal.aborted);
        if (now === "gone") return run.endedElsewhere(await store.runs.get({ runId: run.runId }));
        if (now === "begins") break;
        await turn.next(run.signal);
      }
    } catch (error) {
      this.#logger.error({ err: error, ...run.logIds }, "a waiting run could not begin");
      run.abort(error as Error);
    } finally {
      turn.leave();
      request.signal?.removeEventListener("abort", onAbort);
    }
    await this.#see(run, request, session, store);
  }

  /** Sees a claimed run to its end, or to where it pauses or is given back. */
  async #takeUp(claimed: ClaimedRun, onCheckpoint: () => void): Promise<void> {
    const { run_id: runId } = claimed.row;
    this.#arriving.add(runId);
    const taken = await takeUp(claimed, {
      db: this.#db,
      writer: this.#writer,
      logger: this.#logger,
      agents: this.#agents ?? new Map(),
    });
    try {
      if (!taken) return;
      const { run, request, session, store, checkpoint } = taken;
      if (claimed.row.cancel_requested_at !== null) run.abort(cancelled());
      void run.checkpointed.then(onCheckpoint);
      await this.#keep(run, this.#execution.see(run, request, session, store, checkpoint));
    } finally {
      this.#arriving.delete(runId);
    }
  }

  /** Tells a run to stop that another run of its session is to take the place of. It is marked already. */
  #interrupt(runId: string): void {
    const run = this.#live.get(runId);
    if (run) run.abort(new RunCancelledError("Another run of the session took its place."));
    else this.#db.signals().publish({ kind: "cancel", runId });
  }
}

/** Why a run ends that is under way when the time is over: somebody else goes on with one that is in background. */
function stopped(run: LiveRun): Error {
  return run.identity.background ? new RunReleasedError() : new ServerStoppedError();
}

function cancelled(): RunCancelledError {
  return new RunCancelledError("The run was cancelled.");
}

function lineageFrom({ runId, messages, regenerates }: RunOrigin): RunLineage {
  return {
    forked_from_run_id: runId,
    forked_from_message_index: messages,
    ...(regenerates && { regenerated_from: runId }),
  };
}
