import pg from "pg";

/** How long a query may take, in milliseconds. A database that froze must not hold its callers for ever. */
const defaultQueryTimeout = 30_000;

/** How long a caller waits for a connection, in milliseconds. */
const checkoutTimeout = 5_000;

interface PoolOptions {
  /** What PostgreSQL lists the connections as. */
  name?: string;
  /** Milliseconds. */
  queryTimeout?: number;
  /** Whether statements are about many rows, each found by its key. */
  forBatches?: boolean;
}

/**
 * A statement is planned once for each connection, maybe while tables and batches are small, and the plan is kept while they
 * grow: reading a whole table, or comparing each row with each, must not look cheap then.
 */
const plansForBatches = "SET enable_seqscan = off; SET enable_nestloop = off";

/** A pool whose connections report every lost one, and give whole numbers as numbers. */
export function createPool(
  url: string,
  max: number,
  onError: (error: Error) => void,
  { name = "agentos", queryTimeout = defaultQueryTimeout, forBatches = false }: PoolOptions = {},
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: checkoutTimeout,
    query_timeout: queryTimeout,
    statement_timeout: queryTimeout,
    idle_in_transaction_session_timeout: 5_000,
    keepAlive: true,
    application_name: name,
    ...(forBatches && { onConnect: async (client) => void (await client.query(plansForBatches)) }),
    types: { getTypeParser: typeParser as typeof pg.types.getTypeParser },
  });
  pool.on("error", onError);
  // The pool listens to idle connections only; one that is lost in the middle of a statement would end the process.
  pool.on("connect", (client) => client.on("error", onError));
  return pool;
}

/** Times and counts fit a JavaScript number; `pg` gives every bigint as text otherwise. */
function typeParser(oid: number, format?: "text" | "binary") {
  return oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as "text");
}
