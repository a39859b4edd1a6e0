import type { Selectable } from "kysely";
import type { JsonObject, JsonValue } from "../events/json.ts";
import type { Message } from "../events/messages.ts";
import type { FoldedRun, Run, RunInput, RunLineage, RunStatus } from "../events/run.ts";
import type { TerminalEventBody } from "../events/run-events.ts";
import type { Tables } from "./schema.ts";

/** A file of a run with its bytes. */
export interface StoredMedia {
  mediaId: string;
  sha256: string;
  filename: string;
  mimeType: string;
  bytes: Uint8Array;
}

/** A run that is about to begin. */
export interface NewRun {
  runId: string;
  sessionId: string;
  agentId: string;
  userId: string | undefined;
  parentRunId?: string;
  /** Which process does it; undefined where any may take it up. */
  nodeId: string | undefined;
  /** Whether it begins at once. Else it is pending until somebody claims it. */
  begins: boolean;
  background: boolean;
  /** The process that begins a background run at once where its session is new: then no other can be before it. */
  takenBy?: string | undefined;
  /** Whether it may only begin when no earlier run of its session is pending or running. */
  waits: boolean;
  /** JSON of what another process needs beside the input to begin it. */
  request: string | null;
  lineage?: RunLineage;
  input: RunInput;
  metadata: JsonObject;
  model: string;
  modelProvider: string;
  /** The span that asks for it, as W3C's `traceparent` header has it. */
  traceparent?: string;
  /** What the state of the session is where the run makes it. */
  sessionState: JsonObject;
  media: readonly StoredMedia[];
  /** Unix time in milliseconds. */
  createdAt: number;
}

/** How many background runs may wait. */
export interface QueueLimits {
  /** In all. */
  total: number;
  user: number;
  session: number;
}

/** On what conditions a run is accepted. */
export interface Admission {
  /** Refuses a background run that finds no room in the queue. */
  limits: QueueLimits;
  /** What happens where another run of the session is pending or running; without, nothing. */
  ifBusy?: "reject" | "interrupt";
  /** The caller's name for the request, so that it makes one run however often it is sent. */
  key?: IdempotencyKey;
}

/** A caller's name for a request. */
export interface IdempotencyKey {
  key: string;
  /** Tells whether a request of the same key is the same request. */
  requestHash: string;
  /** Milliseconds for which it is kept. */
  keptFor: number;
}

/** What became of a run that was to be accepted. Nothing was written where it was not. */
export type Acceptance =
  | {
      kind: "accepted";
      session: SessionStart;
      /** Whether it is under way: begun by its caller, or by `takenBy`. */
      begun: boolean;
      /** Runs that are to be cancelled for it. */
      interrupted: string[];
    }
  /** The session is somebody else's. */
  | { kind: "foreign" }
  | { kind: "busy" }
  | { kind: "full"; of: keyof QueueLimits }
  /** The key was used before. */
  | { kind: "repeated"; runId: string; isSame: boolean };

/** The session as a run finds it. */
export interface SessionStart {
  /** Whether this run made it: then it has no history. */
  isNew: boolean;
  state: JsonObject;
  /** Whether somebody named it: a person, or a model. Else its name is how its first message begins. */
  named: boolean;
  /** JSON of its summary. */
  summary: string | null;
  /** The `order` of the last run that only the summary tells. */
  compactedUntil: number | null;
}

/** What a run changed in its session's state: keys with their new values, and keys that are gone. */
export interface StateChange {
  set: JsonObject;
  remove: readonly string[];
}

/** What a run's log and row grow by in one commit. */
export interface LogWrite {
  runId: string;
  sessionId: string;
  /** The fence: a write of an older attempt changes nothing. */
  attempt: number;
  /** Events without their envelope, as JSON texts, in order; the first has the index `firstIndex`. */
  events: readonly string[];
  firstIndex: number;
  /** The messages since the last checkpoint; the first has the place `firstPosition`. */
  messages: readonly Message[];
  firstPosition: number;
  /** The run's row as of a checkpoint or its end. Without one the write only appends events. */
  row?: RunSnapshot;
  stateChange?: StateChange;
  /** The run whose place this one takes with its end. */
  replaces?: string;
  /** What the run's session is found by from now on. */
  text?: RunText;
}

/** What was said in a run, for the full-text search. */
export interface RunText {
  /** The word that stands for the session's owner. */
  owner: string;
  text: string;
}

/** What a checkpoint says of a run: the fold of its events up to there. */
export interface RunSnapshot {
  fold: FoldedRun;
  ended: boolean;
  /** JSON of what the run needs beside its row and messages to go on from here; absent where nobody can take it up. */
  checkpoint?: string;
  /** Names the pause that begins here. */
  pauseId?: string;
  /** Unix time in milliseconds. */
  at: number;
}

/** Which run is meant. Where more than the id is given, all must match. */
export interface RunFilter {
  runId: string;
  agentId?: string;
  sessionId?: string;
  userId?: string;
}

/** Which runs of a session: the newest `limit` of those before `before`, or the oldest of those after `after`. */
export interface SessionRuns {
  sessionId: string;
  agentId?: string;
  userId?: string;
  statuses?: readonly RunStatus[];
  /** Unix times in seconds; a run of that very second is meant too. */
  createdAfter?: number;
  createdBefore?: number;
  limit: number;
  /** The `order` of a run. */
  before?: number;
  after?: number;
}

/** A run in short. */
export interface RunPreview {
  runId: string;
  parentRunId: string | undefined;
  agentId: string;
  userId: string | undefined;
  status: RunStatus;
  input: string;
  content: JsonValue;
  /** Unix time in seconds. */
  createdAt: number;
  order: number;
}

/** A run as whoever follows its session knows it. */
export interface RunInSession {
  runId: string;
  agentId: string;
  status: RunStatus;
  /** Its place among all runs. */
  order: number;
}

/** A run as it is stored. */
export interface StoredRun {
  run: Run;
  /** Its place among all runs, in the order in which they were accepted. */
  order: number;
}

/** How a run and its stored log stand. */
export interface LogStanding {
  status: RunStatus;
  /** The `code` of the error that ended it. */
  errorType?: string;
  /** Index of the first event that is kept; undefined where none is. */
  firstIndex: number | undefined;
  /** Index of the last event, kept or not; -1 before the first. */
  lastIndex: number;
}

/** Where a reader is in a run's log. */
export interface LogCursor {
  runId: string;
  /** Index of the last event that it has; -1 for none. */
  after: number;
}

/** A stretch of a run's log. */
export interface StoredEvents {
  firstIndex: number;
  /** The events, each with its JSON without its envelope. */
  events: { event: string; json: string }[];
}

/** A message of an earlier run with the files that came with it. */
export interface Attached {
  runId: string;
  /** The `order` of its run. */
  order: number;
  message: Message;
  media: StoredMedia[];
}

/** A run that was ended in the database. */
export interface StoredEnd {
  /** As it stood before. */
  row: Selectable<Tables["runs"]>;
  /** What its log ends with. */
  event: TerminalEventBody;
}
