import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";

/** How far a database has come since it was made. */
export interface Standing {
  /** Transactions that were committed. */
  commits: number;
  /** Bytes of write-ahead log, of the whole server. */
  wal: number;
}

/** How far it has come, once the statistics of all its connections are there: they arrive up to a second late. */
export async function settled(db: pg.Client): Promise<Standing> {
  await sleep(1500);
  const { rows } = await db.query<{ commits: string; wal: string }>(`
    SELECT pg_stat_clear_snapshot(), (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
      pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal`);
  return { commits: Number(rows[0]?.commits), wal: Number(rows[0]?.wal) };
}
