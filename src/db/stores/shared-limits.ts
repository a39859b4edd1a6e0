import { sql } from "kysely";
import { newId } from "../../events/ids.ts";
import type { Engine } from "../engine.ts";
import { type Limits, type Rate, type RateState, type Release, rateState } from "../limits.ts";

/** Milliseconds for which a place is held without a sign of life. */
const holdFor = 60_000;

/** Milliseconds between two signs of life. */
const renewEvery = 20_000;

/** Milliseconds between two looks for what is over. */
const sweepEvery = 10 * 60_000;

/** Counts in the database, for all processes that share it. Times are the database's. */
export class SharedLimits implements Limits {
  readonly #engine: Engine;
  readonly #holder = newId();
  readonly #held = new Set<string>();
  /** Places that are on their way back, by key: whoever comes next here must not find them taken. */
  readonly #leaving = new Map<string, Promise<void>>();
  #renewal: NodeJS.Timeout | undefined;
  #sweptAt = performance.now();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async take(key: string, rate: Rate): Promise<RateState> {
    this.#sweepSometimes();
    const { db, now } = this.#engine;
    const each = rate.per / rate.times;
    const used = sql<number>`CASE WHEN rate_limits.used_until > ${now} THEN rate_limits.used_until ELSE ${now} END`;
    const row = await db
      .insertInto("rate_limits")
      .values({ limit_key: key, used_until: sql`${now} + ${sql.lit(each)}` })
      .onConflict((conflict) =>
        conflict
          .column("limit_key")
          .doUpdateSet({ used_until: sql`${used} + ${sql.lit(each)}` })
          .where(sql<boolean>`${used} + ${sql.lit(each)} - ${now} <= ${sql.lit(rate.per + 0.001)}`),
      )
      .returning(["used_until", now.as("now")])
      .executeTakeFirst();
    if (row) return rateState(rate, row.now, row.used_until, true);
    const full = await db
      .selectFrom("rate_limits")
      .select(["used_until", now.as("now")])
      .where("limit_key", "=", key)
      .executeTakeFirst();
    return full
      ? rateState(rate, full.now, full.used_until, false)
      : { allowed: false, remaining: 0, wait: each };
  }

  async hold(key: string, places: number, others?: () => Promise<number>): Promise<Release | undefined> {
    this.#sweepSometimes();
    const slotId = newId();
    await this.#leaving.get(key);
    let held: number;
    try {
      held = await this.#insert(key, slotId);
      if (held <= places && others) held += await others();
    } catch (error) {
      await this.#delete(slotId);
      throw error;
    }
    if (held > places) {
      await this.#delete(slotId);
      return undefined;
    }
    this.#held.add(slotId);
    this.#renewal ??= setInterval(() => void this.#renew(), renewEvery).unref();
    return () => {
      if (this.#held.delete(slotId)) this.#release(key, slotId);
      if (this.#held.size === 0) this.#stopRenewal();
    };
  }

  async addTokens(key: string, day: number, tokens: number): Promise<void> {
    this.#sweepSometimes();
    await this.#engine.db
      .insertInto("daily_tokens")
      .values({ limit_key: key, day, tokens })
      .onConflict((conflict) =>
        conflict
          .columns(["limit_key", "day"])
          .doUpdateSet((eb) => ({ tokens: eb("daily_tokens.tokens", "+", eb.ref("excluded.tokens")) })),
      )
      .execute();
  }

  async tokens(key: string, day: number): Promise<number> {
    const row = await this.#engine.db
      .selectFrom("daily_tokens")
      .select("tokens")
      .where("limit_key", "=", key)
      .where("day", "=", day)
      .executeTakeFirst();
    return row?.tokens ?? 0;
  }

  async close(): Promise<void> {
    this.#stopRenewal();
    if (this.#held.size === 0) return;
    this.#held.clear();
    await this.#engine.db.deleteFrom("limit_slots").where("holder", "=", this.#holder).execute();
  }

  #stopRenewal(): void {
    clearInterval(this.#renewal);
    this.#renewal = undefined;
  }

  #release(key: string, slotId: string): void {
    const before = this.#leaving.get(key);
    const gone = Promise.all([before, this.#delete(slotId)]).then(() => {
      if (this.#leaving.get(key) === gone) this.#leaving.delete(key);
    });
    this.#leaving.set(key, gone);
  }

  /** Writes down a place. @returns how many of the key are held then */
  async #insert(key: string, slotId: string): Promise<number> {
    const { db, now } = this.#engine;
    const held_until = sql<number>`${now} + ${sql.lit(holdFor)}`;
    await db
      .insertInto("limit_slots")
      .values({ slot_id: slotId, limit_key: key, holder: this.#holder, held_until })
      .execute();
    // Whoever counts last has seen all that were taken before: there are never more than there are places. Two that come
    // at the same moment for the last one may both go without.
    const { held } = await db
      .selectFrom("limit_slots")
      .select((eb) => eb.fn.countAll<number>().as("held"))
      .where("limit_key", "=", key)
      .where("held_until", ">", now)
      .executeTakeFirstOrThrow();
    return held;
  }

  async #delete(slotId: string): Promise<void> {
    await this.#engine.db
      .deleteFrom("limit_slots")
      .where("slot_id", "=", slotId)
      .execute()
      // One that cannot be deleted gets no more signs of life, and is over by itself within a minute.
      .catch(() => undefined);
  }

  async #renew(): Promise<void> {
    const { db, now } = this.#engine;
    await db
      .updateTable("limit_slots")
      .set({ held_until: sql`${now} + ${sql.lit(holdFor)}` })
      .where(sql<boolean>`slot_id = ANY(${[...this.#held]}::text[])`)
      .execute()
      // The database is away: the next sign of life may be in time.
      .catch(() => undefined);
  }

  #sweepSometimes(): void {
    if (performance.now() - this.#sweptAt < sweepEvery) return;
    this.#sweptAt = performance.now();
    const { db, now } = this.#engine;
    const day = Math.floor(Date.now() / 86_400_000);
    void Promise.all([
      db.deleteFrom("rate_limits").where("used_until", "<", now).execute(),
      db.deleteFrom("limit_slots").where("held_until", "<", now).execute(),
      db.deleteFrom("daily_tokens").where("day", "<", day).execute(),
      // The next sweep finds what this one could not take.
    ]).catch(() => undefined);
  }
}
