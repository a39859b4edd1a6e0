import type { Logger } from "pino";
import type { ContinueRequest, RunRequest } from "../agent/runner.ts";
import type { Database } from "../db/database.ts";
import type { Principal } from "../db/principal.ts";
import type { IdempotencyKey, QueueLimits } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import { AgentOSError, RunFaultError } from "../errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { proposalOf } from "./acceptance.ts";
import type { Cancels } from "./cancels.ts";
import { continuationOf } from "./continue.ts";
import type { Execution } from "./execution.ts";
import { LiveRun } from "./live-run.ts";
import type { LiveRuns } from "./live-runs.ts";
import type { LogWriter } from "./log-writer.ts";
import type { NodeLease } from "./node-lease.ts";
import type { QueueWorker } from "./queue-worker.ts";
import { restore } from "./restore.ts";
import type { Continued, Submitted } from "./runner-options.ts";
import type { Turns } from "./turns.ts";

/** What takes in runs. */
interface IntakeParts {
  db: Database;
  logger: Logger;
  telemetry: Telemetry | undefined;
  /** Resolves once the database is open, the lease of this process is held, and telemetry is loaded. */
  open: () => Promise<void>;
  limits: QueueLimits;
  writer: LogWriter;
  lease: NodeLease;
  live: LiveRuns;
  turns: Turns;
  worker: QueueWorker;
  cancels: Cancels;
  execution: Execution;
}

/** Takes in what is asked for: a run that begins, waits or goes on. */
export class Intake {
  readonly #parts: IntakeParts;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Accepts a run. */
  async accept(
    request: RunRequest,
    principal: Principal,
    { background = false, key }: { background?: boolean; key?: IdempotencyKey },
  ): Promise<Submitted> {
    const { db, telemetry, lease, worker, live, cancels, writer, execution, limits } = this.#parts;
    const since = performance.now();
    await this.#parts.open();
    if (!background) lease.mustBeHeld();
    const traceparent = telemetry?.parentOf(request.traceparent);
    const leavePlace = background && lease.isHeld ? worker.reserve() : undefined;
    const hasRoom = leavePlace !== undefined;
    const asked = { background, key, limits, nodeId: lease.nodeId, hasRoom, traceparent };
    const proposal = proposalOf(request, asked);
    const { runId, sessionId } = proposal.run;
    const store = db.storeFor(principal);
    live.arriving.add(runId);
    let work: Promise<void> | undefined;
    try {
      const acceptance = await store.runs.accept(proposal.run, proposal.admission);
      if (acceptance.kind === "repeated") return acceptance;
      const { begun, session } = acceptance;
      for (const other of acceptance.interrupted) cancels.interrupt(other);
      db.signals().publish({ kind: "session", sessionId, runId });
      if (background && !begun) {
        this.#enqueued(sessionId);
        return { kind: "queued", runId, sessionId };
      }
      const run = new LiveRun({ ...proposal.identity, ...(begun && { since }) }, store, writer);
      const see = () => execution.see(run, request, session, store);
      work = live.keep(run, begun ? see() : this.#whenItsTurn(run, request, store, see));
      return background ? { kind: "queued", runId, sessionId } : { kind: "live", run };
    } finally {
      live.arriving.delete(runId);
      if (leavePlace) void Promise.resolve(work).finally(leavePlace);
    }
  }

  /** Goes on with a paused run, or accepts one that is made of a run that has ended. */
  async continue(request: ContinueRequest, principal: Principal, background: boolean): Promise<Continued> {
    const { arriving } = this.#parts.live;
    arriving.add(request.runId);
    try {
      return await this.#continued(request, principal, background);
    } finally {
      arriving.delete(request.runId);
    }
  }

  async #continued(request: ContinueRequest, principal: Principal, background: boolean): Promise<Continued> {
    const { db, lease, live, writer, execution } = this.#parts;
    await this.#parts.open();
    if (!background) lease.mustBeHeld();
    const store = db.storeFor(principal);
    const next = await continuationOf(request, store, background ? undefined : lease.nodeId);
    if (next.kind === "anew") {
      const submitted = await this.accept(next.request, principal, { background });
      return { ...submitted, shownAfter: -1 };
    }
    const { row, lastIndex } = next.progress;
    db.signals().publish({ kind: "session", sessionId: row.session_id, runId: row.run_id });
    const shownAfter = lastIndex - 1;
    if (background) {
      this.#enqueued(row.session_id);
      return { kind: "queued", runId: row.run_id, sessionId: row.session_id, shownAfter };
    }
    const { agent, signal, dependencies, output } = request;
    const { run, session, checkpoint, ...restored } = restore(next.progress, {
      agent,
      attempt: row.attempt,
      store,
      writer,
    });
    const again: RunRequest = {
      ...restored.request,
      ...(signal && { signal }),
      ...(dependencies && { dependencies }),
      ...(output && { output }),
    };
    void live.keep(run, execution.see(run, again, session, store, checkpoint));
    return { kind: "live", run, shownAfter };
  }

  /** Notes that a background run of a session waits, here or for another process. */
  #enqueued(sessionId: string): void {
    const { worker, live, db } = this.#parts;
    if (worker.isFull) db.signals().publish({ kind: "queue" });
    if (live.hasSession(sessionId)) worker.waitsFor(sessionId);
    worker.wake();
  }

  async #whenItsTurn(
    run: LiveRun,
    request: RunRequest,
    store: Store,
    see: () => Promise<void>,
  ): Promise<void> {
    const { turns, db, logger } = this.#parts;
    try {
      const begins = await turns.wait(run, db.queue(), request.signal);
      if (!begins) return run.endedElsewhere(await store.runs.get({ runId: run.runId }));
    } catch (error) {
      logger.error({ err: error, ...run.logIds }, "a waiting run could not begin");
      await this.#endWaiting(run, store, error);
      return;
    }
    await see();
  }

  /** Ends a run that has not begun and cannot. */
  async #endWaiting(run: LiveRun, store: Store, error: unknown): Promise<void> {
    const failure =
      error instanceof AgentOSError
        ? error
        : new RunFaultError(`The run could not begin. Look for ${run.runId} in the server's log.`);
    try {
      await this.#parts.db.queue().end(run.runId, 0, failure);
      run.endedElsewhere(await store.runs.get({ runId: run.runId }));
    } catch {
      // Its row is ended with a later beat: the database holds it for this process's, which does not know it.
      run.letGo(failure);
    }
  }
}
