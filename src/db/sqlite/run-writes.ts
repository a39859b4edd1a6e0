import type { JsonObject } from "../../events/json.ts";
import type { AcceptParameters, MediaParameters } from "../queries/accept.ts";
import { fullIn, isAdopted } from "../queries/claimed.ts";
import type { StateChange } from "../records.ts";
import { changedState } from "../session-state.ts";
import type { SqliteConnection } from "./connection.ts";
import type { RunStatements } from "./run-statements.ts";
import type { Admitted, LogRows } from "./writes.ts";

/** Writes runs. Each method expects to stand inside a transaction. */
export class SqliteRunWrites {
  readonly #connection: SqliteConnection;
  readonly #statements: RunStatements;

  constructor(connection: SqliteConnection, statements: RunStatements) {
    this.#connection = connection;
    this.#statements = statements;
  }

  accept(run: AcceptParameters, media: readonly MediaParameters[]): Admitted {
    const statements = this.#statements;
    if (run.background === 1) {
      const [room] = this.#connection.run(statements.room, run);
      const full = fullIn(room);
      if (full) return { kind: "full", of: full };
    }
    const [before] = this.#connection.run(statements.owner, run);
    const [session] = this.#connection.run(statements.session, run);
    if (!session) return { kind: "foreign" };
    if (isAdopted(before, session)) this.#connection.run(statements.give, run);
    const taken = run.taken_by !== null && before === undefined;
    this.#connection.run(statements.insert, taken ? takenParameters(run) : run);
    for (const file of media) {
      for (const query of statements.media) this.#connection.run(query, file);
    }
    return { kind: "accepted", session, taken };
  }

  /** @returns whether the run is still the caller's; where it is not, nothing was written */
  append({ run_id, session_id, attempt, row, events, messages, state, replaces, text }: LogRows): boolean {
    const statements = this.#statements;
    const owned = row
      ? this.#connection.run(statements.update, { ...row, run_id, attempt })
      : this.#connection.run(statements.owned, { run_id, attempt });
    if (owned.length === 0) return false;
    if (events) this.#connection.run(statements.events, events);
    for (const message of messages) this.#connection.run(statements.message, message);
    if (state) {
      const [session] = this.#connection.run(statements.state, { session_id });
      const change = JSON.parse(state.change) as StateChange;
      const changed = changedState(JSON.parse(session?.state ?? "{}") as JsonObject, change);
      this.#connection.run(statements.setState, {
        session_id,
        state: JSON.stringify(changed),
        at: state.at,
      });
    }
    if (replaces !== undefined) {
      this.#connection.run(statements.replace, { first: replaces, second: run_id });
    }
    if (text) this.#connection.run(statements.text, text);
    return true;
  }
}

/** A background run that is begun as it is accepted. */
function takenParameters(parameters: AcceptParameters): AcceptParameters {
  const { taken_by: node_id, at } = parameters;
  return { ...parameters, status: "running", attempt: 1, node_id, started_at: at };
}
