import type { Logger } from "pino";
import { type LoopPause, type LoopResult, runLoop } from "../agent/loop.ts";
import type { Checkpoint, LoopContext } from "../agent/loop-context.ts";
import type { RunRequest } from "../agent/runner.ts";
import type { SessionStart } from "../db/records.ts";
import { stateChange } from "../db/session-state.ts";
import type { Store } from "../db/store.ts";
import {
  AgentOSError,
  DatabaseUnavailableError,
  LeaseLostError,
  RunCancelledError,
  RunFaultError,
  RunLostError,
  RunReleasedError,
  RunTimeoutError,
} from "../errors.ts";
import { newId } from "../events/ids.ts";
import type { JsonObject } from "../events/json.ts";
import type { Run } from "../events/run.ts";
import type { RunPaused, TerminalEventBody } from "../events/run-events.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { AfterRun } from "./after-run.ts";
import { isJson, keptOf, type RunCheckpoint } from "./checkpoint.ts";
import { takenAlong } from "./continue.ts";
import type { LiveRun } from "./live-run.ts";
import type { RunEnd } from "./log-writer.ts";
import { prepare, stateOf } from "./prepare.ts";
import { rememberRun } from "./remember.ts";
import { keepUp } from "./session-upkeep.ts";

type Tail = Pick<TerminalEventBody, "session_state" | "metrics">;

/** What an execution needs. */
export interface ExecutionParts {
  logger: Logger;
  afterRun: AfterRun;
  /** Listens to the runs; undefined where nothing does. */
  telemetry: Telemetry | undefined;
  /** Puts a run back into the queue that this process does not go on with. */
  giveBack: (run: LiveRun) => Promise<void>;
  /** Ends a run in the database, where what it came to cannot be stored. */
  end: (run: LiveRun, reason: AgentOSError) => Promise<void>;
  /** Is told each run that has ended, once its end is stored. */
  onEnded: ((run: Run) => void) | undefined;
}

/** Brings runs from their start to their end: pulls the agent loop, and ends the log with what it came to. */
export class Execution {
  readonly #logger: Logger;
  readonly #afterRun: AfterRun;
  readonly #telemetry: Telemetry | undefined;
  readonly #giveBack: (run: LiveRun) => Promise<void>;
  readonly #end: ExecutionParts["end"];
  readonly #onEnded: ((run: Run) => void) | undefined;

  constructor(parts: ExecutionParts) {
    this.#logger = parts.logger;
    this.#afterRun = parts.afterRun;
    this.#telemetry = parts.telemetry;
    this.#giveBack = parts.giveBack;
    this.#end = parts.end;
    this.#onEnded = parts.onEnded;
  }

  /**
   * Sees a run to its end, or to where it waits for people. Never rejects: a run's failure is its own business.
   *
   * @param checkpoint - where it goes on from, for one that was taken up again
   */
  async see(
    run: LiveRun,
    request: RunRequest,
    session: SessionStart,
    store: Store,
    checkpoint?: RunCheckpoint,
  ): Promise<void> {
    const { agent } = request;
    run.begins();
    run.telemetry = this.#telemetry?.begin({
      ...run.identity,
      message: request.message,
      model: { id: agent.model.id, provider: agent.model.provider },
      tools: agent.tools,
      isResumed: run.log.nextIndex > 0,
    });
    const release = limits(run, request);
    const state = checkpoint?.session_state ?? stateOf(request, session);
    let end: TerminalEventBody | RunPaused;
    try {
      const historyBefore = checkpoint ? checkpoint.history_before : await takeAlong(run, request, store);
      run.kept = keptOf(request, session, state, historyBefore, checkpoint?.replaces);
      const context = await prepare(run, request, session, state, store, checkpoint, historyBefore);
      const result = await this.#drive(run, context);
      end =
        "waiting" in result
          ? pausedFor(result.waiting, run, this.#tail(run, state))
          : { event: "RunCompleted", ...result, ...this.#tail(run, state) };
    } catch (error) {
      const reason: unknown = run.signal.aborted ? run.signal.reason : error;
      if (isOthers(run, reason)) {
        release();
        return this.#release(run, reason);
      }
      end = this.#failed(run, reason, isJson(state) ? state : session.state);
    }
    release();
    try {
      if (end.event === "RunPaused") await run.pause(end);
      else await run.end(end, changeOf(run, end, session));
      this.#logger.info(
        { ...run.logIds, agent_id: agent.id, status: run.fold.status, ...run.timing() },
        end.event === "RunPaused" ? "run paused" : "run ended",
      );
      if (end.event !== "RunPaused") this.#onEnded?.(run.toRun());
      if (end.event === "RunCompleted") {
        const ended = run.toRun();
        const { telemetry } = run;
        keepUp(this.#afterRun, { agent, run: ended, session, store, telemetry });
        rememberRun(this.#afterRun, { agent, run: ended, store, telemetry });
      }
    } catch (error) {
      if (isOthers(run, error)) await this.#release(run, error);
      else if (!(await this.#endedElsewhere(run, error, store))) await this.#notStored(run, error);
    }
  }

  /** Pulls the agent loop to its end. A loop that does not listen to the abort signal is left behind. */
  async #drive(run: LiveRun, context: LoopContext): Promise<LoopResult | LoopPause> {
    const loop = runLoop(context);
    let giveUp: (reason: unknown) => void = () => undefined;
    const onAbort = () => giveUp(run.signal.reason);
    run.signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (true) {
        const { done, value } = await new Promise<Awaited<ReturnType<typeof loop.next>>>(
          (resolve, reject) => {
            giveUp = reject;
            if (run.signal.aborted) reject(run.signal.reason);
            else loop.next().then(resolve, reject);
          },
        );
        if (done) return value;
        if (!("event" in value)) for (const event of value) run.append(event);
        else if (value.event === "Checkpoint") await this.#checkpoint(run, value);
        else if (value.event === "Barrier") await this.#barrier(run);
        else run.append(value);
        if (run.full) await run.flush();
      }
    } finally {
      run.signal.removeEventListener("abort", onAbort);
      // Not awaited: a tool that never returns would hold the run's end back.
      loop.return({ content: "", content_type: "str" }).catch(() => undefined);
    }
  }

  /** A point from which another process could go on, and where one that stops lets it. */
  async #checkpoint(run: LiveRun, { events = [] }: Checkpoint): Promise<void> {
    for (const event of events) run.append(event);
    run.checkpoint();
    // Where calls are still under way, nobody could tell what came of them.
    if (!run.isReleased || run.begun.size > 0) return;
    await run.flush();
    throw new RunReleasedError();
  }

  /** Before tools begin: where another process may take the run up, it must know what was begun. */
  async #barrier(run: LiveRun): Promise<void> {
    if (run.storedFirst) await run.flush();
    run.mustBeOurs();
  }

  async #release(run: LiveRun, reason: Error): Promise<void> {
    // Its readers come back elsewhere, and its tools are told to stop.
    run.letGo(reason);
    run.abort(reason);
    try {
      await this.#giveBack(run);
      this.#logger.info({ ...run.logIds, reason: reason.message }, "run given back");
    } catch (error) {
      // It is looked for with each beat; or the lease of this process ends, and then it is as if it had been lost.
      this.#logger.warn({ err: error, ...run.logIds }, "the run was not given back");
    }
  }

  /** Whether a run that is no longer this process's was ended by another: then that is what it came to. */
  async #endedElsewhere(run: LiveRun, error: unknown, store: Store): Promise<boolean> {
    if (!(error instanceof RunLostError)) return false;
    const stored = await store.runs.get({ runId: run.runId }).catch(() => undefined);
    if (stored) run.endedElsewhere(stored);
    return stored !== undefined;
  }

  #failed(run: LiveRun, reason: unknown, state: JsonObject): TerminalEventBody {
    if (reason instanceof RunCancelledError) {
      const content = String(run.fold.content);
      return { event: "RunCancelled", content, reason: reason.message, ...this.#tail(run, state) };
    }
    if (reason instanceof AgentOSError) {
      return {
        event: "RunError",
        content: reason.message,
        error_type: reason.code,
        ...this.#tail(run, state),
      };
    }
    this.#logger.error({ err: reason, ...run.logIds }, "run failed unexpectedly");
    const content = `The run failed inside the server. Look for ${run.runId} in its log.`;
    return { event: "RunError", content, error_type: "internal_error", ...this.#tail(run, state) };
  }

  /** What every last event carries. The state is taken as JSON, which is what is stored of it. */
  #tail(run: LiveRun, state: JsonObject): Tail {
    const metrics = { ...run.fold.metrics, ...run.timing() };
    return {
      session_state: JSON.parse(JSON.stringify(state)) as JsonObject,
      metrics: this.#telemetry?.priced(metrics) ?? metrics,
    };
  }

  async #notStored(run: LiveRun, error: unknown): Promise<void> {
    const failure = error instanceof Error ? error : new Error(String(error));
    this.#logger.error({ err: failure, ...run.logIds }, "the run's end was not stored");
    const known = failure instanceof AgentOSError;
    run.endUnstored(
      {
        event: "RunError",
        content: known
          ? failure.message
          : "The answer could not be stored, so it is not sent. Send the message again.",
        error_type: known ? failure.code : "not_stored",
        session_state: {},
        metrics: run.fold.metrics,
      },
      failure,
    );
    if (!run.identity.background) return;
    // Given back, it would be done again, and fail in the same way, for ever.
    const reason = new RunFaultError(
      `What the run came to could not be stored. Look for ${run.runId} in the server's log.`,
    );
    await this.#end(run, reason).catch((cause: unknown) =>
      this.#logger.error({ err: cause, ...run.logIds }, "nor could the run be ended"),
    );
  }
}

/** Whether it is not for this process to say how a run ends: it stops, or cannot store the run's end, and another goes on. */
function isOthers(run: LiveRun, reason: unknown): reason is Error {
  if (reason instanceof RunReleasedError || reason instanceof LeaseLostError) return true;
  if (!run.identity.background) return false;
  return reason instanceof RunLostError || reason instanceof DatabaseUnavailableError;
}

/** What the end of a run changes beside it. */
function changeOf(run: LiveRun, end: TerminalEventBody, session: SessionStart): Omit<RunEnd, "text"> {
  const change = stateChange(session.state, end.session_state);
  const replaces = end.event === "RunCompleted" ? run.kept?.replaces : undefined;
  return { ...(change && { stateChange: change }), ...(replaces !== undefined && { replaces }) };
}

/**
 * Gives a run that is made of another one the messages that it begins with.
 *
 * @returns the `order` before which its history is; undefined where that is its own
 */
async function takeAlong(run: LiveRun, { origin }: RunRequest, store: Store): Promise<number | undefined> {
  if (!origin || origin.messages === 0) return undefined;
  const { messages, order, begun } = await takenAlong(origin, store);
  run.messages.push(...messages);
  for (const call of begun) run.begun.add(call);
  return order;
}

/** Lets the run's time limit and its caller's signal end it. Returns what lets go of both. */
function limits(run: LiveRun, { agent, signal }: RunRequest): () => void {
  const timer = setTimeout(
    () => run.abort(new RunTimeoutError(agent.timeLimit)),
    agent.timeLimit * 1000 - run.activeFor,
  );
  const letGo = run.cancelOn(signal);
  return () => {
    clearTimeout(timer);
    letGo();
  };
}

/** What asks people for the calls that wait. */
function pausedFor(waiting: readonly ToolExecution[], run: LiveRun, tail: Tail): RunPaused {
  const created_at = new Date().toISOString();
  return {
    event: "RunPaused",
    content: String(run.fold.content),
    tools: [...waiting],
    requirements: waiting.map((tool) => ({ id: newId(), created_at, tool_execution: tool })),
    ...tail,
  };
}
