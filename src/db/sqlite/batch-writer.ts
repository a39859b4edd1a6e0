import type { SQLInputValue } from "node:sqlite";
import type { SqliteConnection } from "./connection.ts";
import { type Failure, failureOf, isOfTheFile } from "./failure.ts";
import { indexTexts } from "./index-texts.ts";
import type { RunStatements } from "./run-statements.ts";
import { SqliteRunWrites } from "./run-writes.ts";
import type { Write, Written } from "./writes.ts";

/** What became of a write. */
export type Outcome = { value: Written[keyof Written] } | { failure: Failure };

/** Commits writes together. */
export class BatchWriter {
  readonly #connection: SqliteConnection;
  readonly #runs: SqliteRunWrites;

  constructor(connection: SqliteConnection, statements: RunStatements) {
    this.#connection = connection;
    this.#runs = new SqliteRunWrites(connection, statements);
  }

  /** Commits them in one transaction; where one fails, each by itself, so that only that one does. */
  commit(writes: readonly Write[]): Outcome[] {
    const outcomes = this.#together(writes);
    const [first] = outcomes;
    const all = !first || "value" in first || writes.length === 1 || isOfTheFile(first.failure);
    return all ? outcomes : writes.flatMap((write) => this.#together([write]));
  }

  #together(writes: readonly Write[]): Outcome[] {
    try {
      this.#connection.begin();
      const outcomes = writes.map((write) => ({ value: this.#write(write) }));
      this.#connection.commit();
      return outcomes;
    } catch (error) {
      const failure = failureOf(error);
      try {
        this.#connection.rollback();
      } catch {
        // Why the transaction failed says more than why it could not be undone; the next one then fails too.
      }
      return writes.map(() => ({ failure }));
    }
  }

  #write(write: Write): Written[keyof Written] {
    switch (write.kind) {
      case "accept":
        return this.#runs.accept(write.run, write.media);
      case "append":
        return write.logs.filter((log) => !this.#runs.append(log)).map(({ run_id }) => run_id);
      case "query": {
        const statement = this.#connection.statement(write.sql);
        return write.values.map((values) => statement.all(...(values as SQLInputValue[]))).at(-1) ?? [];
      }
      case "index":
        return indexTexts(this.#connection, write.most);
    }
  }
}
