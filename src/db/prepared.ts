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
  /** Its values in order: a parameter by its name, or what is always the same. It can be sent to another thread. */
  readonly parts: readonly PreparedPart[];
  values(parameters: TParameters): unknown[];
  /** Only there for its type. */
  readonly row?: TRow;
}

/** One value of a prepared query. */
export type PreparedPart = { readonly key: PropertyKey } | { readonly fixed: unknown };

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
  return preparedQuery({
    sql: compiled.sql,
    parts: compiled.parameters.map((value) =>
      value instanceof Placeholder ? { key: value.key } : { fixed: value },
    ),
  });
}

/** A prepared query of its text and its values, as another thread gets them. */
export function preparedQuery<TParameters, TRow>({
  sql,
  parts,
}: Pick<PreparedQuery<TParameters, TRow>, "sql" | "parts">): PreparedQuery<TParameters, TRow> {
  const values = parts.map((part) =>
    "key" in part ? (parameters: TParameters) => parameters[part.key as keyof TParameters] : () => part.fixed,
  );
  return { sql, parts, values: (parameters) => values.map((value) => value(parameters)) };
}
