import type { Kysely } from "kysely";
import type { Engine } from "./engine.ts";
import type { Principal } from "./principal.ts";
import { historyQuery } from "./queries/history.ts";
import type { Tables } from "./schema.ts";
import { JobStore } from "./stores/jobs.ts";
import { MediaStore } from "./stores/media.ts";
import { MemoryStore } from "./stores/memories.ts";
import { RunProgressStore } from "./stores/run-progress.ts";
import { RunStore } from "./stores/runs.ts";
import { Scope } from "./stores/scope.ts";
import { SessionNotes } from "./stores/session-notes.ts";
import { SessionStore } from "./stores/sessions.ts";
import { TraceStore } from "./stores/traces.ts";
import { UsageStore } from "./stores/usage.ts";
import { UserStore } from "./stores/users.ts";

/** What one principal may read and change, by kind. There is one implementation, for both engines. */
export interface Store {
  readonly runs: RunStore;
  readonly progress: RunProgressStore;
  readonly jobs: JobStore;
  readonly media: MediaStore;
  readonly memories: MemoryStore;
  readonly sessions: SessionStore;
  readonly users: UserStore;
  readonly notes: SessionNotes;
  readonly traces: TraceStore;
  readonly usage: UsageStore;
}

/** Makes the handles of a database. Hot queries are built once, here. */
export function storeFactory(engine: Engine, db: Kysely<Tables>): (principal: Principal) => Store {
  const history = historyQuery(db);
  const now = risingClock();
  return (principal) => {
    const scope = new Scope(principal);
    const media = new MediaStore(engine, scope);
    return {
      runs: new RunStore(engine, history, scope, media),
      progress: new RunProgressStore(engine, scope),
      jobs: new JobStore(engine, scope),
      media,
      memories: new MemoryStore(engine, scope, now),
      sessions: new SessionStore(engine, scope),
      users: new UserStore(engine, scope),
      notes: new SessionNotes(engine, scope),
      traces: new TraceStore(engine, scope),
      usage: new UsageStore(engine, scope),
    };
  };
}

/** Milliseconds, never the same twice: what is written later also sorts later. */
function risingClock(): () => number {
  let last = 0;
  return () => {
    last = Math.max(last + 1, Date.now());
    return last;
  };
}
