import type { Compilable, Kysely, RawBuilder } from "kysely";
import type { Tables } from "./schema.ts";

/** Stands for a value in a query until the query is run. */
class Placeholder {
  readonly key: PropertyKey;
  constructor(key: PropertyKey) {
    this.key = key;
  }
}

/** A query whose text was made once; only its values change. */
export interface PreparedQuery<TParameters, TRow> {
  readonly sql: string;
  values(parameters: TParameters): unknown[];
  /** Only there for its type. */
  readonly row?: TRow;
}

/** The row type of a query. */
type RowOf<TQuery> = TQuery extends Compilable<infer TRow> ? TRow : never;

/**
 * Builds a Kysely query once, with placeholders for its values, so that running it costs no building.
 *
 * @example
 * const byId = prepare<{ runId: string }>()((value) =>
 *   db.selectFrom("runs").selectAll().where("run_id", "=", value("runId")));
 */
export function prepare<TParameters extends object>() {
  return <TQuery extends Compilable>(
    build: (value: <K extends keyof TParameters>(key: K) => TParameters[K]) => TQuery,
  ): PreparedQuery<TParameters, RowOf<TQuery>> => {
    // Kysely hands values through untouched, so the placeholder comes out where the value belongs.
    return filledIn(build((key) => new Placeholder(key) as never).compile());
  };
}

/** The same for a query that is written by hand. */
export function prepareSql<TParameters extends object>(db: Kysely<Tables>) {
  return <TRow>(
    build: (value: <K extends keyof TParameters>(key: K) => TParameters[K]) => RawBuilder<TRow>,
  ): PreparedQuery<TParameters, TRow> => filledIn(build((key) => new Placeholder(key) as never).compile(db));
}

function filledIn<TParameters, TRow>(compiled: {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}): PreparedQuery<TParameters, TRow> {
  const values = compiled.parameters.map((value) =>
    value instanceof Placeholder
      ? (parameters: TParameters) => parameters[value.key as keyof TParameters]
      : () => value,
  );
  return { sql: compiled.sql, values: (parameters) => values.map((value) => value(parameters)) };
}
