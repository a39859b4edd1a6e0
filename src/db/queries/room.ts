import { type ExpressionBuilder, type ExpressionWrapper, type Kysely, type SqlBool, sql } from "kysely";
import type { Acceptance, NewRun, QueueLimits } from "../records.ts";
import type { Tables } from "../schema.ts";
import type { Value } from "./accept.ts";
import { fullIn } from "./claimed.ts";

/** Whose background run it is that asks for room. */
interface Asking {
  userId: string | null;
  sessionId: string;
}

type Condition = ExpressionWrapper<Tables, never, SqlBool>;

/** Whether the queue has room for one more, by each limit. Each count stops at its limit, and is read from an index. */
export function roomIn<TTable extends keyof Tables>(
  builder: ExpressionBuilder<Tables, TTable>,
  { userId, sessionId }: Asking,
  limits: QueueLimits,
): Record<keyof QueueLimits, Condition> {
  const eb = builder as unknown as ExpressionBuilder<Tables, never>;
  const waiting = (limit: number) =>
    eb
      .selectFrom("runs")
      .select(sql.lit(1).as("one"))
      .where(sql.ref("runs.status"), "=", sql.lit("pending"))
      .where(sql.ref("runs.background"), "=", sql.lit(1))
      .limit(limit);
  const under = (limit: number, query: ReturnType<typeof waiting>): Condition =>
    eb(eb.selectFrom(query.as("waiting")).select(eb.fn.countAll<number>().as("count")), "<", limit);
  return {
    total: under(limits.total, waiting(limits.total)),
    // Nobody's runs are not one user's.
    user: under(
      limits.user,
      waiting(limits.user).where(sql`coalesce(user_id, '')`, "=", userId).where("user_id", "is not", null),
    ),
    session: under(limits.session, waiting(limits.session).where("runs.session_id", "=", sessionId)),
  };
}

/** The same for a run that is about to be accepted by a prepared query. */
export function roomFor<TTable extends keyof Tables>(eb: ExpressionBuilder<Tables, TTable>, value: Value) {
  return roomIn(
    eb,
    { userId: value("user_id"), sessionId: value("session_id") },
    { total: value("total_limit"), user: value("user_limit"), session: value("session_limit") },
  );
}

/** What {@link roomIn} gives as columns. */
export function roomColumns({ total, user, session }: ReturnType<typeof roomIn>) {
  return [total.as("total"), user.as("user"), session.as("session")] as const;
}

/** Which limit the queue is at; undefined where there is room. */
export async function fullLimit(
  db: Kysely<Tables>,
  run: NewRun,
  limits: QueueLimits,
): Promise<keyof QueueLimits | undefined> {
  const room = await db
    .selectNoFrom((eb) =>
      roomColumns(roomIn(eb, { userId: run.userId ?? null, sessionId: run.sessionId }, limits)),
    )
    .executeTakeFirstOrThrow();
  return fullIn(room);
}

/** Why a run was refused that could not be accepted in one statement. */
export async function refusal(db: Kysely<Tables>, run: NewRun, limits: QueueLimits): Promise<Acceptance> {
  const full = run.background ? await fullLimit(db, run, limits) : undefined;
  return full ? { kind: "full", of: full } : { kind: "foreign" };
}
