import type { RunInSession } from "../db/records.ts";
import type { Signals } from "../db/signals.ts";
import type { Store } from "../db/store.ts";
import { LogGoneError } from "../errors.ts";
import type { LogEntry } from "./run-log.ts";

/** Milliseconds between two looks at the session: a signal may be lost. */
const pollInterval = 1000;

/** A stretch of the log of one of the session's runs. */
export interface SessionStretch {
  run: RunInSession;
  entries: readonly LogEntry[];
}

/** Where a reader of a session begins. */
export interface SessionStart {
  /** Runs after this place in the order of all are read too where they have ended. */
  after: number;
  /** Index of the last event that the reader has, by run. */
  cursors: ReadonlyMap<string, number>;
}

/** What following a session takes. */
interface FollowSessionParts {
  store: Store;
  signals: Signals;
  sessionId: string;
  from: SessionStart;
  /** Whether it goes on when no run is under way. */
  wait: boolean;
  /** Ends it. */
  signal: AbortSignal;
  /** Follows the log of one run. */
  follow: (
    runId: string,
    after: number,
    signal: AbortSignal,
  ) => AsyncGenerator<readonly LogEntry[], void, void>;
}

/** The runs that a reader would be sent something of now. */
export async function runsToFollow(
  store: Store,
  sessionId: string,
  { after, cursors }: SessionStart,
): Promise<RunInSession[]> {
  const [underWay, later, known] = await Promise.all([
    store.runs.underWay(sessionId),
    store.runs.laterThan(sessionId, after),
    store.runs.standings([...cursors.keys()]),
  ]);
  const behind = [...cursors].filter(([runId, cursor]) => cursor < (known.get(runId)?.lastIndex ?? -1));
  const left = await Promise.all(behind.map(([runId]) => store.runs.inSession(sessionId, runId)));
  const all = new Map(
    [...left.flatMap((run) => run ?? []), ...underWay, ...later].map((run) => [run.runId, run]),
  );
  return [...all.values()].toSorted((a, b) => a.order - b.order);
}

/**
 * Follows whatever runs in a session: what is under way from its start, then what begins. Runs that are live side by side
 * come interleaved. Each event comes once.
 */
export async function* followSession(parts: FollowSessionParts): AsyncGenerator<SessionStretch, void, void> {
  const { store, signals, sessionId, wait, signal, follow } = parts;
  const cursors = new Map(parts.from.cursors);
  let { after } = parts.from;
  const followed = new Map<string, { run: RunInSession; next: Promise<Step>; leave: AbortController }>();
  /** Runs that are next. Those that are over are read one after another, so that the last event read tells what was. */
  const next: RunInSession[] = [];
  const joinNext = () => {
    while (next.length > 0 && ![...followed.values()].some(({ run }) => isOver(run))) join(next.shift()!);
  };
  let look = true;
  let wake: () => void = () => undefined;
  const change = () => {
    look = true;
    wake();
  };
  const unsubscribe = signals.subscribe({
    signal: (one) => {
      if (one.kind === "session" && one.sessionId === sessionId) change();
    },
    resync: change,
  });
  const timer = setInterval(change, pollInterval);
  signal.addEventListener("abort", change, { once: true });
  const join = (run: RunInSession) => {
    const leave = new AbortController();
    const log = follow(run.runId, cursors.get(run.runId) ?? -1, leave.signal);
    const step = (): Promise<Step> =>
      log.next().then(
        ({ done, value }) => ({ run, step, ...(done ? {} : { entries: value as readonly LogEntry[] }) }),
        // Its log was deleted: there is nothing more of it.
        (error: unknown) => (error instanceof LogGoneError ? { run, step } : { run, step, error }),
      );
    followed.set(run.runId, { run, next: step(), leave });
  };

  try {
    while (!signal.aborted) {
      if (look) {
        look = false;
        for (const run of await runsToFollow(store, sessionId, { after, cursors })) {
          after = Math.max(after, run.order);
          if (!followed.has(run.runId) && !next.some(({ runId }) => runId === run.runId)) next.push(run);
        }
        joinNext();
        if (followed.size === 0 && !wait) return;
      }
      const changed = new Promise<undefined>((resolve) => {
        wake = () => resolve(undefined);
        if (look) wake();
      });
      const step = await Promise.race([changed, ...[...followed.values()].map(({ next }) => next)]);
      if (!step) continue;
      if (step.error !== undefined) throw step.error;
      const { run, entries } = step;
      if (entries) {
        cursors.set(run.runId, entries.at(-1)!.index);
        followed.get(run.runId)!.next = step.step();
        yield { run, entries };
      } else {
        // It ended or paused. What comes next may have begun already.
        followed.delete(run.runId);
        joinNext();
        look = true;
      }
    }
  } finally {
    clearInterval(timer);
    unsubscribe();
    signal.removeEventListener("abort", change);
    for (const { leave } of followed.values()) leave.abort();
  }
}

function isOver({ status }: RunInSession): boolean {
  return status !== "pending" && status !== "running";
}

/** What the log of a run gave: entries, or nothing more. */
interface Step {
  run: RunInSession;
  entries?: readonly LogEntry[];
  error?: unknown;
  step: () => Promise<Step>;
}
