import { applyEvent } from "../../events/fold.ts";
import type { Message } from "../../events/messages.ts";
import type { RunEventBody } from "../../events/run-events.ts";
import type { ToolExecution } from "../../events/tool-execution.ts";
import type { Engine } from "../engine.ts";
import { foldOf } from "../queries/rows.ts";
import { addEvent } from "../queries/stored-log.ts";
import type { RunRow } from "../queue.ts";
import type { Scope } from "./scope.ts";

/** What is stored of a run that has not ended: all that is needed to go on with it. */
export interface RunProgress {
  row: RunRow;
  /** Its messages up to its last checkpoint. */
  messages: Message[];
  /** Index of the last event that is stored; -1 where there is none. */
  lastIndex: number;
  /** Ids of the calls whose `ToolCallStarted` stands after the checkpoint. */
  begun: string[];
  /** Whether somebody named the session. */
  sessionNamed: boolean;
}

/** How a paused run goes on. */
export interface HowToGoOn {
  /** The calls that waited, as they are now. */
  readonly decided: readonly ToolExecution[];
  /** The process that goes on with it; undefined where it waits for one. */
  readonly nodeId: string | undefined;
  /** What its tools may do from now on; absent where that stays as it was. */
  readonly scopes?: readonly string[];
}

/** Runs that go on: after a pause, or after their process was lost. */
export class RunProgressStore {
  readonly #engine: Engine;
  readonly #scope: Scope;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /** What is stored of a run, or undefined where the principal has none such. */
  async get(runId: string): Promise<RunProgress | undefined> {
    const { db } = this.#engine;
    const row = await db
      .selectFrom("runs")
      .selectAll()
      .where("run_id", "=", runId)
      .where((eb) => this.#scope.runs(eb))
      .executeTakeFirst();
    if (!row) return undefined;
    const messages = await db
      .selectFrom("messages")
      .select("message")
      .where("run_id", "=", runId)
      .orderBy("position")
      .execute();
    const stretches = await db
      .selectFrom("run_events")
      .select(["first_index", "last_index", "events"])
      .where("run_id", "=", runId)
      .where("last_index", ">=", row.checkpoint_index)
      .orderBy("first_index")
      .execute();
    const session = await db
      .selectFrom("sessions")
      .select("named_by")
      .where("session_id", "=", row.session_id)
      .executeTakeFirst();
    const begun = stretches.flatMap(({ first_index, events }) =>
      (JSON.parse(events) as RunEventBody[])
        .filter((_, i) => first_index + i > row.checkpoint_index)
        .flatMap((event) => (event.event === "ToolCallStarted" ? [event.tool.tool_call_id] : [])),
    );
    return {
      row,
      messages: messages.map(({ message }) => JSON.parse(message) as Message),
      lastIndex: stretches.at(-1)?.last_index ?? -1,
      begun,
      sessionNamed: session?.named_by !== "message",
    };
  }

  /**
   * Goes on with a paused run: stores what was decided, with the `RunContinued` that tells it.
   *
   * @param progress - as {@link get} gave it
   * @param pauseId - the pause that was decided about
   * @param how - what was decided, and by whom it goes on
   * @returns the run as it stands then; undefined where it is no longer in that pause
   */
  async continue(progress: RunProgress, pauseId: string, how: HowToGoOn): Promise<RunProgress | undefined> {
    const { row, lastIndex } = progress;
    const { decided, nodeId } = how;
    const event: RunEventBody = { event: "RunContinued", tools: [...decided] };
    const fold = foldOf(row);
    applyEvent(fold, event, lastIndex + 1);
    const at = Date.now();
    const attempt = row.attempt + 1;
    const continued = await this.#engine.transaction(async (db) => {
      // Its place in the order is that of its commit, as of one that is accepted; and one that is being deleted is gone.
      const session = await this.#engine
        .locked(db.selectFrom("sessions").select("session_id").where("session_id", "=", row.session_id))
        .executeTakeFirst();
      if (!session) return undefined;
      const updated = await db
        .updateTable("runs")
        .set({
          tools: JSON.stringify(fold.tools),
          requirements: JSON.stringify(fold.requirements),
          checkpoint_index: lastIndex + 1,
          checkpoint: checkpointAfter(row, how),
          pause_id: null,
          // What was asked of it before its pause is answered by going on.
          cancel_requested_at: null,
          crashes: 0,
          updated_at: at,
          ...(nodeId === undefined
            ? { status: "pending", background: 1, waits: 1, node_id: null, queue_seq: this.#engine.nextOrder }
            : { status: "running", node_id: nodeId, attempt }),
        })
        .where("run_id", "=", row.run_id)
        .where("status", "=", "paused")
        .where("pause_id", "=", pauseId)
        .returningAll()
        .executeTakeFirst();
      if (!updated) return undefined;
      await addEvent(db, event, { runId: row.run_id, index: lastIndex + 1, attempt: updated.attempt, at });
      return updated;
    });
    return continued && { ...progress, row: continued, lastIndex: lastIndex + 1, begun: [] };
  }
}

/** The checkpoint of a run that goes on: its history stays that of its first turn, and what was decided is not unknown. */
function checkpointAfter(row: RunRow, { decided, scopes }: HowToGoOn): string | null {
  if (row.checkpoint === null) return null;
  const checkpoint = JSON.parse(row.checkpoint) as { history_before?: number; begun: string[] };
  return JSON.stringify({
    ...checkpoint,
    history_before: checkpoint.history_before ?? row.queue_seq,
    begun: checkpoint.begun.filter((id) => !decided.some((tool) => tool.tool_call_id === id)),
    ...(scopes && { scopes }),
  });
}
