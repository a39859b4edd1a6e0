import type { RunInSession } from "../db/records.ts";
import type { Signals } from "../db/signals.ts";
import type { Store } from "../db/store.ts";
import { fewRuns } from "../db/stores/runs.ts";
import { LogGoneError } from "../errors.ts";
import { isSwept, isUnderWay, startIn } from "./log-standing.ts";
import type { LogEntry } from "./run-log.ts";

/** Milliseconds between two looks at the session: a signal may be lost. */
const pollInterval = 1000;

/** A stretch of the log of one of the session's runs. */
export interface SessionStretch {
  run: RunInSession;
  entries: readonly LogEntry[];
  /** Where the reader stands in the other runs that it has to name when it comes back. */
  beside: readonly ReadUpTo[];
}

/** How far a run was read. */
export interface ReadUpTo {
  run: RunInSession;
  /** Index of the last event; -1 for none. */
  index: number;
}

/** Where a reader of a session begins. */
export interface SessionStart {
  /** Runs after this place in the order of all are read too where they have ended. */
  after: number;
  /** Index of the last event that the reader has, by run. */
  cursors: ReadonlyMap<string, number>;
  /** The last run, in the order of all, that the reader has read of. */
  newest?: ReadUpTo;
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

/** What a reader would be sent now. */
interface Due {
  /** The runs that there is something of, or will be, in their order. */
  runs: RunInSession[];
  /** The place in the order of all up to which these are all. */
  after: number;
  /** Whether more may have begun after that place. */
  hasMore: boolean;
  /** Ids of runs that have ended and were read to their end. */
  read: string[];
}

/** The runs that a reader would be sent something of now. Of very many that have ended meanwhile these are the first. */
export async function runsToFollow(
  store: Store,
  sessionId: string,
  { after, cursors }: SessionStart,
): Promise<Due> {
  const [underWay, later, known] = await Promise.all([
    store.runs.underWay(sessionId),
    store.runs.laterThan(sessionId, after),
    store.runs.standings([...cursors.keys()]),
  ]);
  const hasMore = later.length === fewRuns;
  const hasAll = (runId: string) => {
    const [cursor, standing] = [cursors.get(runId), known.get(runId)];
    if (cursor === undefined || !standing) return false;
    const isAtEnd = cursor === standing.lastIndex || startIn(standing, cursor) === standing.lastIndex;
    // What is no longer kept is not to be had any more.
    return isAtEnd || isSwept(standing, cursor);
  };
  const behind = [...cursors.keys()].filter((runId) => known.has(runId) && !hasAll(runId));
  const left = await Promise.all(behind.map((runId) => store.runs.inSession(sessionId, runId)));
  // Before those that are yet to be looked for, none that comes after them.
  const until = hasMore ? later.at(-1)!.order : Number.POSITIVE_INFINITY;
  const begun = [...underWay, ...later].filter(({ order }) => order <= until);
  const all = new Map([...left.flatMap((run) => run ?? []), ...begun].map((run) => [run.runId, run]));
  return {
    runs: [...all.values()]
      .filter((run) => !isOver(run) || !hasAll(run.runId))
      .toSorted((a, b) => a.order - b.order),
    after: hasMore ? until : Math.max(after, ...begun.map(({ order }) => order)),
    hasMore,
    read: [...cursors.keys()].filter((runId) => {
      const standing = known.get(runId);
      // Where it is listed, it is not passed yet: it would be read anew.
      return !hasMore && !all.has(runId) && (!standing || (hasEnded(standing) && hasAll(runId)));
    }),
  };
}

/**
 * Follows whatever runs in a session: what is under way from its start, then what begins. Runs that are live side by side
 * come interleaved. Each event comes once.
 */
export async function* followSession(parts: FollowSessionParts): AsyncGenerator<SessionStretch, void, void> {
  const { store, signals, sessionId, wait, signal, follow } = parts;
  const cursors = new Map(parts.from.cursors);
  let { after, newest } = parts.from;
  const followed = new Map<string, { run: RunInSession; next: Promise<Step>; leave: AbortController }>();
  /** Runs that are next. Those that are over are read one after another, so that the last event read tells what was. */
  const next: RunInSession[] = [];
  const joinNext = () => {
    while (next.length > 0 && ![...followed.values()].some(({ run }) => isOver(run))) join(next.shift()!);
  };
  /** What is to be named of the runs beside one, so that nothing is lost of them, and nothing that was read comes again. */
  const besides = (one: RunInSession): ReadUpTo[] => {
    const others = [...followed.values()]
      .filter(({ run }) => run.runId !== one.runId)
      .map(({ run }) => ({ run, index: cursors.get(run.runId) ?? -1 }));
    const isLast = [one, ...others.map(({ run }) => run)].every(({ order }) => order < newest!.run.order);
    return isLast ? [...others, newest!] : others;
  };
  let look = true;
  let hasMore = false;
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
      if (look || (hasMore && next.length === 0)) {
        look = false;
        const due = await runsToFollow(store, sessionId, { after, cursors });
        ({ after, hasMore } = due);
        const isKnown = (one: string) => followed.has(one) || next.some(({ runId }) => runId === one);
        for (const run of due.runs) if (!isKnown(run.runId)) next.push(run);
        for (const runId of due.read) if (!isKnown(runId)) cursors.delete(runId);
        joinNext();
        if (followed.size === 0 && hasMore) continue;
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
        const { index } = entries.at(-1)!;
        cursors.set(run.runId, index);
        if (!newest || run.order >= newest.run.order) newest = { run, index };
        followed.get(run.runId)!.next = step.step();
        yield { run, entries, beside: besides(run) };
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

function isOver(run: Pick<RunInSession, "status">): boolean {
  return !isUnderWay(run);
}

/** Whether it cannot go on any more, as one that has paused can. */
function hasEnded(run: Pick<RunInSession, "status">): boolean {
  return isOver(run) && run.status !== "paused";
}

/** What the log of a run gave: entries, or nothing more. */
interface Step {
  run: RunInSession;
  entries?: readonly LogEntry[];
  error?: unknown;
  step: () => Promise<Step>;
}
