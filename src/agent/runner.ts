import type { JsonObject } from "../events/json.ts";
import type { Run } from "../events/run.ts";
import type { RunEvent } from "../events/run-events.ts";
import type { Attachment } from "../models/model.ts";
import type { Decision } from "./decisions.ts";
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
  /** The run that it is made of: it begins with some of its messages. */
  origin?: RunOrigin;
  /** The span that asks for it, as W3C's `traceparent` header has it. */
  traceparent?: string;
  /** Ends the run, not only the waiting for it. */
  signal?: AbortSignal;
}

/** How a run is made of an earlier one. */
export interface RunOrigin {
  runId: string;
  /** How many of its messages are taken along. */
  messages: number;
  /** What the user says after them, if anything. */
  says?: string;
  /** Whether it answers the same question again. */
  regenerates: boolean;
  /** Whether it takes the place of the first once it has completed. */
  replaces: boolean;
}

/** How a run is to go on that is paused or has ended. What it does hangs on how the run stands. */
export interface ContinueRequest {
  agent: AgentDefinition;
  runId: string;
  sessionId?: string;
  userId?: string;
  /** About the calls that a paused run waits for. */
  decisions?: readonly Decision[];
  /** Where the decisions stand in the request, for the error that names one. */
  decisionsAt: readonly (string | number)[];
  /** What the user says next. */
  input?: string;
  /** Up to where an ended run is taken along: its end, its last user message, or so many messages. */
  continueFrom: "end" | "last_user" | number;
  fork: boolean;
  regenerate: boolean;
  /** Whether a regenerated answer takes the place of the first. Default true. */
  replaceOriginal?: boolean;
  additionalInstructions?: string;
  /** Take the place of what is stored. */
  dependencies?: JsonObject;
  output?: OutputSchema;
  /** What a new run gets of its caller. A paused one goes on with what it began with. */
  ofCaller?: Pick<RunRequest, "scopes" | "dependencies" | "sessionState">;
  /** Whether its caller has a scope too: a paused run loses those that its caller has not. Absent: it has all. */
  callerHas?: (scope: string) => boolean;
  stream: boolean;
  signal?: AbortSignal;
}

/** A run that was accepted: it is stored, and goes on whether or not anybody follows it. */
export interface StartedRun {
  readonly runId: string;
  readonly sessionId: string;
  /** Every event from the first, or from where it was continued, then what comes, up to the end or a pause. */
  events(): AsyncIterable<RunEvent>;
  /** The stored run, once it ended or waits for people. Rejects only where it could not be stored. */
  ended(): Promise<Run>;
}

/**
 * What owns runs: it stores them, numbers their events, and sees them to their end.
 * The agent only needs this much of it, so that `agent.run()` is stored and traced like a run over HTTP.
 */
export interface Runner {
  /** @throws {NotFoundError} when the session is another user's. Nothing was written then. */
  start(request: RunRequest): Promise<StartedRun>;

  /**
   * Goes on with a paused run, or makes a run of one that has ended.
   *
   * @throws {NotFoundError} when there is no such run
   * @throws {InvalidRequestError} when the decisions do not fit what the run waits for
   * @throws {ConflictError} when the run was continued or cancelled already, or its tools are gone
   */
  continue(request: ContinueRequest): Promise<StartedRun>;
}
