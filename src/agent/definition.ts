import type * as z from "zod";
import type { Database } from "../db/database.ts";
import type { JsonObject } from "../events/json.ts";
import type { AiSdkModel } from "../models/ai-sdk.ts";
import type { Model } from "../models/model.ts";
import type { OutputSchema } from "./output.ts";
import type { Tool } from "./tool.ts";

/** What instructions may depend on. */
export interface InstructionsContext<
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
> {
  readonly userId?: string;
  /** What the caller's token lets it do. */
  readonly scopes: readonly string[];
  readonly sessionId: string;
  readonly sessionState: Readonly<TState>;
  readonly dependencies: Readonly<TDependencies>;
}

/** Instructions for the model: a text, several, or a function that makes them for a run. */
export type Instructions<
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
> =
  | string
  | readonly string[]
  | ((context: InstructionsContext<TState, TDependencies>) => string | Promise<string>);

/** What an agent is made of. Only `id` and `model` are needed. */
export interface AgentOptions<
  TOutput = string,
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
> {
  /** Names the agent in every path: letters, digits, `_`, `-` and `.`, at most 128. */
  id: string;
  /** For people. */
  name?: string;
  /** What the agent is; the first lines of its system prompt. */
  description?: string;
  /** How it should behave; follows the description. */
  instructions?: Instructions<TState, TDependencies>;
  /** A model of this package, or any language model of the Vercel AI SDK. */
  model: Model | AiSdkModel;
  /** Where its runs are stored. Without, that of the AgentOS; without both, memory. */
  db?: Database;
  // biome-ignore lint/suspicious/noExplicitAny: tools of any input.
  tools?: readonly Tool<any, TState, TDependencies>[];
  /** Whether the model is shown earlier runs of the session. Default false. */
  addHistoryToContext?: boolean;
  /** How many of the last completed runs it is shown: 1 to 100. Default 3. */
  numHistoryRuns?: number;
  /** Tokens of history that the model is shown, about; earlier runs are left out. Default: no limit but their number. */
  historyTokenBudget?: number;
  /** Whether a session gets a short title from its first exchange: one model call after the run. Default false. */
  autoNameSessions?: boolean;
  /**
   * Whether each session has a summary that is brought up to date after every run, and that stands in the prompt: with a
   * budget, it tells what is left out. Default false.
   */
  enableSessionSummaries?: boolean;
  /**
   * Whether the agent remembers its users: what it knows of the user stands in the prompt, and its model has a tool that
   * adds, changes and deletes memories. Default false.
   */
  enableAgenticMemory?: boolean;
  /**
   * The other way to remember: what is known stands in the prompt, and after each run a model call looks for what is worth
   * keeping. Nobody waits for it. Default false.
   */
  updateMemoryOnRun?: boolean;
  /** Characters that memories may take in the prompt; those that matter most are chosen: 500 to 1,000,000. Default 8,000. */
  memoryBudget?: number;
  /** What a new session's state is. */
  sessionState?: TState;
  /** A zod object that every answer must fit. The run's content then has its type. */
  outputSchema?: z.ZodType<TOutput>;
  /** How often a model call is tried again after a failure that may pass: 0 to 10. Default 2. */
  retries?: number;
  /** Seconds before the first retry; each next one waits twice as long. Default 0.5. */
  retryDelay?: number;
  /** Tool calls a run may make in all. Then the model must answer without. Default 50. */
  toolCallLimit?: number;
  /** Seconds a run may take; the time that it waits for people does not count. Default 3600. */
  timeLimit?: number;
  /** Seconds one call of the model may take, with its whole answer. Default 600. */
  modelTimeLimit?: number;
  /** Kept with every run; a run's own metadata is laid over it. */
  metadata?: JsonObject;
}

/** An agent with every default filled in and every option checked: what the loop and the runner work from. */
export interface AgentDefinition {
  readonly id: string;
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly instructions: Instructions | undefined;
  readonly model: Model;
  readonly db: Database | undefined;
  readonly tools: readonly Tool[];
  readonly addHistoryToContext: boolean;
  readonly numHistoryRuns: number;
  readonly historyTokenBudget: number | undefined;
  readonly autoNameSessions: boolean;
  readonly enableSessionSummaries: boolean;
  /** How it remembers its users: by a tool (`agentic`) or after its runs; undefined where it does not. */
  readonly memory: { readonly agentic: boolean; readonly budget: number } | undefined;
  readonly sessionState: JsonObject;
  readonly output: OutputSchema | undefined;
  readonly retries: number;
  readonly retryDelay: number;
  readonly toolCallLimit: number;
  readonly timeLimit: number;
  readonly modelTimeLimit: number;
  readonly metadata: JsonObject;
}
