import type { Selectable } from "kysely";
import type { Message } from "../../events/messages.ts";
import type { RunEventBody } from "../../events/run-events.ts";
import type { Engine } from "../engine.ts";
import type { Tables } from "../schema.ts";
import type { Scope } from "./scope.ts";

/** What is stored of a run that has not ended: all that is needed to go on with it. */
export interface RunProgress {
  row: Selectable<Tables["runs"]>;
  /** Its messages up to its last checkpoint. */
  messages: Message[];
  /** Index of the last event that is stored; -1 where there is none. */
  lastIndex: number;
  /** Ids of the calls whose `ToolCallStarted` stands after the checkpoint. */
  begun: string[];
  /** Whether somebody named the session. */
  sessionNamed: boolean;
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
}
