import type { Logger } from "pino";
import type { AgentDefinition } from "../agent/definition.ts";
import type { Database } from "../db/database.ts";
import type { QueueLimits } from "../db/records.ts";
import type { Run } from "../events/run.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { OnUsed } from "./after-run.ts";
import type { LiveRun } from "./live-run.ts";
import type { LogWriterOptions } from "./log-writer.ts";
import type { LeaseOptions } from "./node-lease.ts";

/** How background runs wait and run. */
export interface QueueOptions extends QueueLimits {
  /** Background runs that one process does at the same time. */
  concurrency: number;
}

/** What a runner does where nothing else is said. */
export const defaultQueueOptions: QueueOptions = { concurrency: 32, total: 10_000, user: 1000, session: 100 };

/** Milliseconds for which the log of a run is kept after its end: a day. */
export const defaultLogRetention = 24 * 60 * 60 * 1000;

/** What a runner needs. */
export interface RunnerOptions {
  db: Database;
  logger: Logger;
  /** The agents whose background runs it does, by id. Without, it does none. */
  agents?: ReadonlyMap<string, AgentDefinition>;
  logWriter?: Partial<LogWriterOptions>;
  lease?: Partial<LeaseOptions>;
  /** Is told each run that has ended here, once its end is stored. */
  onEnded?: (run: Run) => void;
  /** Is told what was asked of a model after a run: a title, a summary, what to remember. */
  onUsed?: OnUsed;
  queue?: Partial<QueueOptions>;
  /** Milliseconds for which the log of a run is kept after its end. Default a day. */
  logRetention?: number;
  /** Listens to the runs. */
  telemetry?: Telemetry;
}

/** What became of a request for a run. */
export type Submitted =
  /** It is seen to its end here. */
  | { kind: "live"; run: LiveRun }
  /** It waits for whoever has room for it. */
  | { kind: "queued"; runId: string; sessionId: string }
  /** The same key was sent before, with the same request or with another one. */
  | { kind: "repeated"; runId: string; isSame: boolean };

/** What became of a continue, and the index of the last event before those that it makes. */
export type Continued = Submitted & { shownAfter: number };
