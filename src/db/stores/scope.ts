import type { ExpressionBuilder, ExpressionWrapper, SqlBool } from "kysely";
import type { Principal } from "../principal.ts";
import type { Tables } from "../schema.ts";

type Condition<TTable extends keyof Tables> = ExpressionWrapper<Tables, TTable, SqlBool>;

/** What a principal may see, as conditions. Every query of a store carries one of them. */
export class Scope {
  readonly principal: Principal;

  constructor(principal: Principal) {
    this.principal = principal;
  }

  /** Whether the principal may see no row at all: it is confined, and has no user. */
  get empty(): boolean {
    return !this.principal.unrestricted && this.principal.userId === undefined;
  }

  /** Sessions of its user; the one of its token, where that names one. */
  sessions(eb: ExpressionBuilder<Tables, "sessions">): Condition<"sessions"> {
    const { unrestricted, userId, sessionId } = this.principal;
    if (unrestricted) return eb.and([]);
    if (userId === undefined) return eb.or([]);
    const own = eb("sessions.user_id", "=", userId);
    return sessionId === undefined ? eb.and([own]) : eb.and([own, eb("sessions.session_id", "=", sessionId)]);
  }

  /** Runs of the sessions that it sees: a run is seen by whoever owns its session. */
  runs(eb: ExpressionBuilder<Tables, "runs">): Condition<"runs"> {
    const { unrestricted, userId, sessionId } = this.principal;
    if (unrestricted) return eb.and([]);
    if (userId === undefined) return eb.or([]);
    const owned = eb.exists(
      eb
        .selectFrom("sessions")
        .select("sessions.session_id")
        .whereRef("sessions.session_id", "=", "runs.session_id")
        .where("sessions.user_id", "=", userId),
    );
    return eb.and(sessionId === undefined ? [owned] : [owned, eb("runs.session_id", "=", sessionId)]);
  }

  /** Memories of its user: they belong to no session. */
  memories(eb: ExpressionBuilder<Tables, "memories">): Condition<"memories"> {
    const { unrestricted, userId } = this.principal;
    if (unrestricted) return eb.and([]);
    return userId === undefined ? eb.or([]) : eb.and([eb("memories.user_id", "=", userId)]);
  }

  /** Traces of its user's runs; those of the session of its token, where that names one. */
  traces(eb: ExpressionBuilder<Tables, "traces">): Condition<"traces"> {
    const { unrestricted, userId, sessionId } = this.principal;
    if (unrestricted) return eb.and([]);
    if (userId === undefined) return eb.or([]);
    const own = eb("traces.user_id", "=", userId);
    return sessionId === undefined ? eb.and([own]) : eb.and([own, eb("traces.session_id", "=", sessionId)]);
  }
}
