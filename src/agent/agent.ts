import type * as z from "zod";
import type { Database } from "../db/database.ts";
import { InvalidRequestError, RunNotCompletedError, RunPausedError } from "../errors.ts";
import type { JsonObject } from "../events/json.ts";
import type { Run } from "../events/run.ts";
import type { RunEvent } from "../events/run-events.ts";
import type { Attachment } from "../models/model.ts";
import { mustFit, refuseUnfit, refuseUnknown, type Shape, shapes } from "../options.ts";
import { type ContinueOptions, continueRequest } from "./continue-options.ts";
import { defineAgent } from "./define.ts";
import type { AgentDefinition, AgentOptions } from "./definition.ts";
import { outputFromZod } from "./output.ts";
import { type RunResult, toRunResult } from "./result.ts";
import { type BusyPolicy, busyPolicies, type Runner, type RunRequest } from "./runner.ts";

/** What one run may say for itself. */
export interface RunOptions<
  TOutput = string,
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
> {
  /** The conversation that the run belongs to; a new one where absent. */
  sessionId?: string;
  /** Who the run is for. */
  userId?: string;
  /** Laid over the session's state, key by key. */
  sessionState?: Partial<TState>;
  /** For the tools and the instructions of this run. Of a run that pauses, what JSON can hold of them is kept until its end. */
  dependencies?: TDependencies;
  /** Kept with the run. */
  metadata?: JsonObject;
  /** Files that go to the model with the message. */
  files?: readonly Attachment[];
  /** Takes the place of the agent's output schema. */
  outputSchema?: z.ZodType<TOutput>;
  /** What happens when another run of the session is under way. Default `parallel`: both go on side by side. */
  onBusy?: BusyPolicy;
  /** Aborting it cancels the run. */
  signal?: AbortSignal;
}

const wanted = {
  sessionId: shapes.identifier,
  userId: shapes.identifier,
  sessionState: shapes.object,
  dependencies: shapes.object,
  metadata: shapes.object,
  files: shapes.files,
  outputSchema: shapes.zod,
  onBusy: {
    fits: (value) => busyPolicies.includes(value as BusyPolicy),
    words: `one of ${busyPolicies.join(", ")}`,
  },
  signal: shapes.signal,
} satisfies Record<keyof RunOptions, Shape>;

/**
 * An agent that can be called from anywhere. What it is made of is checked when it is made; how its runs are stored
 * is the business of its runner.
 */
export abstract class BaseAgent<
  TOutput = string,
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
> {
  /** The checked options. */
  readonly definition: AgentDefinition;
  readonly #outputSchema: z.ZodType<TOutput> | undefined;
  #runner: Runner | undefined;

  /** @throws {ConfigurationError} that names the option that cannot work */
  constructor(options: AgentOptions<TOutput, TState, TDependencies>) {
    this.definition = defineAgent(options);
    this.#outputSchema = options.outputSchema;
  }

  get id(): string {
    return this.definition.id;
  }

  get db(): Database | undefined {
    return this.definition.db;
  }

  /** Makes the runner of an agent that no AgentOS serves. */
  protected abstract ownRunner(): Runner;

  /** Gives the agent the runner of the AgentOS that serves it. */
  bind(runner: Runner): void {
    this.#runner = runner;
  }

  /**
   * Runs the agent and waits for its answer. The run is stored like one over HTTP.
   *
   * @param input - what the user says
   * @throws {InvalidRequestError} when the input is empty or an option cannot work; nothing was stored then
   * @throws {NotFoundError} when the session is another user's
   * @throws {RunNotCompletedError} when the run ended as `error` or was cancelled; its `run` is what there is of it
   * @throws {RunPausedError} when the run waits for people; {@link continue} goes on with it
   * @example
   * const { content } = await agent.run("Summarize this thread", { userId: "sarah@acme.com", sessionId: "thread-42" });
   */
  async run<TRunOutput = TOutput>(
    input: string,
    options: RunOptions<TRunOutput, TState, TDependencies> = {},
  ): Promise<RunResult<TRunOutput, TState>> {
    const started = await this.#start(input, options, false);
    return this.#result(await started.ended(), options.outputSchema);
  }

  /**
   * Goes on with a paused run, with what people decided, and waits for its answer. Of a run that has ended it makes a new
   * one: with an `input` for a failed or completed one, or with `regenerate`.
   *
   * @throws {InvalidRequestError} when the decisions do not fit what the run waits for; it stays paused
   * @throws {NotFoundError} when there is no such run
   * @throws {ConflictError} when the run was continued or cancelled already, or a waiting call's tool is gone
   * @throws {RunPausedError | RunNotCompletedError} as {@link run}
   * @example
   * try {
   *   await agent.run("Delete the old exports");
   * } catch (error) {
   *   if (!(error instanceof RunPausedError)) throw error;
   *   const decisions = error.requirements.map(({ tool_execution }) => ({
   *     toolCallId: tool_execution.tool_call_id,
   *     confirmed: true,
   *   }));
   *   const { content } = await agent.continue(error.run.run_id, { decisions });
   * }
   */
  async continue<TRunOutput = TOutput>(
    runId: string,
    options: ContinueOptions<TRunOutput, TDependencies> = {},
  ): Promise<RunResult<TRunOutput, TState>> {
    this.#runner ??= this.ownRunner();
    const started = await this.#runner.continue(continueRequest(this.definition, runId, options, false));
    return this.#result(await started.ended(), options.outputSchema);
  }

  /**
   * Like {@link continue}, and gives the events as they come, from `RunContinued` on.
   *
   * @throws as {@link continue}, before the first event
   */
  async *continueStream<TRunOutput = TOutput>(
    runId: string,
    options: ContinueOptions<TRunOutput, TDependencies> = {},
  ): AsyncGenerator<RunEvent, void, void> {
    this.#runner ??= this.ownRunner();
    const started = await this.#runner.continue(continueRequest(this.definition, runId, options, true));
    yield* started.events();
  }

  async #result<TRunOutput>(
    run: Run,
    outputSchema: z.ZodType<TRunOutput> | undefined,
  ): Promise<RunResult<TRunOutput, TState>> {
    if (run.status === "paused") throw new RunPausedError(run);
    if (run.status !== "completed") throw new RunNotCompletedError(run);
    const schema = outputSchema ?? this.#outputSchema;
    // The answer was held against this very schema before it was stored; parsing gives it the schema's own type.
    const content = (schema ? await schema.parseAsync(run.content) : run.content) as TRunOutput;
    return toRunResult(run, content);
  }

  /**
   * Runs the agent and gives its events as they come; the last is `RunCompleted`, `RunError` or `RunCancelled`, or
   * `RunPaused` where it waits for people.
   * Leaving the loop early does not end the run: abort `options.signal` for that.
   *
   * @throws {InvalidRequestError} when the input is empty or an option cannot work; nothing was stored then
   * @throws {NotFoundError} when the session is another user's
   * @example
   * for await (const event of agent.stream("Tell me a story")) {
   *   if (event.event === "RunContent") process.stdout.write(event.content);
   * }
   */
  async *stream<TRunOutput = TOutput>(
    input: string,
    options: RunOptions<TRunOutput, TState, TDependencies> = {},
  ): AsyncGenerator<RunEvent, void, void> {
    const started = await this.#start(input, options, true);
    yield* started.events();
  }

  #start<T>(message: string, options: RunOptions<T, TState, TDependencies>, stream: boolean) {
    const call = stream ? "stream()" : "run()";
    mustFit(call, "input", message, shapes.message, InvalidRequestError);
    refuseUnknown(call, options, Object.keys(wanted), InvalidRequestError);
    refuseUnfit(call, options, wanted, InvalidRequestError);
    this.#runner ??= this.ownRunner();
    const { files, outputSchema, ...rest } = options;
    const request: RunRequest = {
      agent: this.definition,
      message,
      stream,
      ...(rest as Pick<
        RunRequest,
        "sessionId" | "userId" | "sessionState" | "dependencies" | "metadata" | "onBusy" | "signal"
      >),
      ...(files && { attachments: files }),
      ...(outputSchema && { output: outputFromZod(call, outputSchema, InvalidRequestError) }),
    };
    return this.#runner.start(request);
  }
}
