import type { JsonValue } from "../events/json.ts";
import type { RunStatus } from "../events/run.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import type { AcceptedRun, Checkpoint, GetCheckpoint, ListCheckpoints, ListedRun, Run } from "./answers.ts";
import type { CallOptions } from "./options.ts";
import { nextCursorOf } from "./page.ts";
import { RunStream } from "./run-stream.ts";
import type { ApiRequest, Transport } from "./transport.ts";
import { onWire } from "./wire-names.ts";

/** Whose run is meant. What is given must be the run's, else it is 404; the run's id is enough. */
export interface RunRefOptions extends CallOptions {
  sessionId?: string;
  userId?: string;
}

/** Which runs a list holds. */
export interface RunListOptions extends CallOptions {
  userId?: string;
  /** Any of them. */
  status?: RunStatus | readonly RunStatus[];
  /** Default 100, at most 1,000. */
  limit?: number;
  /** The `nextCursor` of another page: the runs before it. */
  cursor?: string;
}

/** Runs, oldest first. */
export interface RunPage<T> {
  data: T[];
  /** Leads to the runs before these; absent at the beginning. */
  nextCursor?: string;
}

/** A call that waits, with what was decided of it. */
export type ToolDecision = Pick<ToolExecution, "tool_call_id"> &
  Partial<Omit<ToolExecution, "result">> & { result?: JsonValue };

/** What is decided of a tool call that waits, and how a run goes on. */
export interface ContinueOptions extends RunRefOptions {
  /**
   * The calls that a paused run waits for, with what was decided: `confirmed`, the values of `user_input_schema`, or the
   * `result`. The call as the run's `tools` or `RunPaused` had it will do.
   */
  tools?: readonly ToolDecision[];
  /** A follow-up to a run that has ended: it begins a run of its own. */
  input?: string;
  /** `end`, `last_user`, or the index of a message. */
  continueFrom?: "end" | "last_user" | number;
  /** Begins a run of its own, and leaves this one as it is. */
  fork?: boolean;
  /** Answers the same question again, in a run of its own. */
  regenerate?: boolean;
  /** With `regenerate`: whether the first run is left out of later history. Default true. */
  replaceOriginal?: boolean;
  /** With `regenerate`: what the model is told beside. */
  additionalInstructions?: string;
}

/** Runs that are there: reading, following, cancelling and continuing them. */
export class Runs {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The runs of a session under one agent. */
  list(agentId: string, sessionId: string, options: RunListOptions = {}): Promise<RunPage<ListedRun>> {
    return readRunPage(this.#transport, {
      method: "GET",
      path: ["agents", agentId, "runs"],
      query: { sessionId, ...options },
      signal: options.signal,
    });
  }

  /** A run as it stands now. */
  get(agentId: string, runId: string, options: RunRefOptions = {}): Promise<Run> {
    return this.#transport.json({
      method: "GET",
      path: ["agents", agentId, "runs", runId],
      query: { ...options },
      signal: options.signal,
    });
  }

  /** Cancels a run: what was said so far is kept. One that has ended stays as it is. */
  cancel(agentId: string, runId: string, { signal, ...ref }: RunRefOptions = {}): Promise<void> {
    return this.#transport.done({
      method: "POST",
      path: ["agents", agentId, "runs", runId, "cancel"],
      body: onWire(ref),
      signal,
      repeatable: true,
    });
  }

  /**
   * The events of a run that come after one, then what comes: also of a run that has ended, and after a restart.
   *
   * @param options - `after`: index of the last event that is known; all come where it is absent
   */
  resume(agentId: string, runId: string, options: { after?: number } & CallOptions = {}): RunStream {
    const { after = -1, signal } = options;
    return new RunStream(this.#transport, { agentId, runId, after, signal });
  }

  /**
   * Goes on with a run that is paused, has failed or has ended, and waits for the answer.
   *
   * @throws {ApiError} 409 when it was continued or cancelled already; 422 when the decisions do not fit
   */
  continue(agentId: string, runId: string, options: ContinueOptions = {}): Promise<Run> {
    return this.#transport.json(continuing(agentId, runId, { ...options, stream: false }));
  }

  /**
   * The same, with the events from there on: for a paused run they are numbered on. What is cut off before the first event
   * is not sent again, for it may have happened: `get` tells.
   */
  continueStream(
    agentId: string,
    runId: string,
    options: ContinueOptions & { background?: boolean } = {},
  ): RunStream {
    const begin = continuing(agentId, runId, { ...options, stream: true });
    return new RunStream(this.#transport, { agentId, runId, begin, signal: options.signal });
  }

  /** The same in the background: answers as soon as the decision is stored. */
  continueInBackground(agentId: string, runId: string, options: ContinueOptions = {}): Promise<AcceptedRun> {
    return this.#transport.json(continuing(agentId, runId, { ...options, background: true, stream: false }));
  }

  /** The points of a run at which it can be taken up again. */
  async checkpoints(agentId: string, runId: string, options: RunRefOptions = {}): Promise<Checkpoint[]> {
    const { checkpoints } = await this.#transport.json<ListCheckpoints>({
      method: "GET",
      path: ["agents", agentId, "runs", runId, "checkpoints"],
      query: { ...options },
      signal: options.signal,
    });
    return checkpoints;
  }

  /** The run as it was at a message. @throws {ApiError} 400 when it has no such message */
  checkpoint(
    agentId: string,
    runId: string,
    messageIndex: number,
    options: RunRefOptions = {},
  ): Promise<GetCheckpoint> {
    return this.#transport.json({
      method: "GET",
      path: ["agents", agentId, "runs", runId, "checkpoints", String(messageIndex)],
      query: { ...options },
      signal: options.signal,
    });
  }
}

/** Reads a list of runs with the cursor of its `Link`. */
export function readRunPage<T>(transport: Transport, request: ApiRequest): Promise<RunPage<T>> {
  return transport.send(request, async (response) => {
    const nextCursor = nextCursorOf(response);
    const data = (await response.json()) as T[];
    return { data, ...(nextCursor !== undefined && { nextCursor }) };
  });
}

function continuing(
  agentId: string,
  runId: string,
  { signal, ...fields }: ContinueOptions & { stream: boolean; background?: boolean },
): ApiRequest {
  return {
    method: "POST",
    path: ["agents", agentId, "runs", runId, "continue"],
    body: onWire(fields),
    signal,
    repeatable: false,
  };
}
