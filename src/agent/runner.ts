import type { JsonObject } from "../events/json.ts";
import type { Run } from "../events/run.ts";
import type { RunEvent } from "../events/run-events.ts";
import type { Attachment } from "../models/model.ts";
import type { AgentDefinition } from "./definition.ts";
import type { OutputSchema } from "./output.ts";

/**
 * What happens when another run of the session is pending or running: both go on side by side, the new one waits for its
 * turn, it is refused, or the running one is cancelled, which keeps what it said, and then the new one starts.
 */
export const busyPolicies = ["parallel", "enqueue", "reject", "interrupt"] as const;

/** See {@link busyPolicies}. */
export type BusyPolicy = (typeof busyPolicies)[number];

/** A run that is asked for, by whatever door. */
export interface RunRequest {
  agent: AgentDefinition;
  message: string;
  attachments?: readonly Attachment[];
  /** Made up where absent. */
  sessionId?: string;
  userId?: string;
  /** What the caller may do, for tools to look at. None where it is not known. */
  scopes?: readonly string[];
  /** Laid over what the session has. */
  sessionState?: JsonObject;
  dependencies?: JsonObject;
  metadata?: JsonObject;
  /** Takes the place of the agent's. */
  output?: OutputSchema;
  /** Whether the answer comes in pieces. */
  stream: boolean;
  /** Default `parallel`; in background `enqueue`. */
  onBusy?: BusyPolicy;
  /** Ends the run, not only the waiting for it. */
  signal?: AbortSignal;
}

/** A run that was accepted: it is stored, and goes on whether or not anybody follows it. */
export interface StartedRun {
  readonly runId: string;
  readonly sessionId: string;
  /** Every event from the first, then what comes, up to the end. */
  events(): AsyncIterable<RunEvent>;
  /** The stored run, once it ended. Rejects only where it could not be stored. */
  ended(): Promise<Run>;
}

/**
 * What owns runs: it stores them, numbers their events, and sees them to their end.
 * The agent only needs this much of it, so that `agent.run()` is stored and traced like a run over HTTP.
 */
export interface Runner {
  /** @throws {NotFoundError} when the session is another user's. Nothing was written then. */
  start(request: RunRequest): Promise<StartedRun>;
}
