import type { JsonObject } from "../events/json.ts";
import type { Message } from "../events/messages.ts";
import type { RunEventBody } from "../events/run-events.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import type { Attachment, ModelMessage } from "../models/model.ts";
import type { AgentDefinition } from "./definition.ts";
import type { LoopObserver } from "./loop-observer.ts";
import type { UserMemories } from "./memory/user-memories.ts";
import type { OutputSchema } from "./output.ts";
import type { SessionSummary } from "./summary.ts";

/** All that the loop knows of a run. It knows no HTTP and no database. */
export interface LoopContext {
  readonly agent: AgentDefinition;
  readonly runId: string;
  readonly sessionId: string;
  readonly userId: string | undefined;
  /** What the caller may do. */
  readonly scopes: readonly string[];
  readonly message: string;
  /** The references to the attachments, as the user message names them. */
  readonly media: Pick<Message, "files" | "images" | "audio">;
  readonly attachments: readonly Attachment[];
  /** Messages of earlier runs, oldest first. */
  readonly history: readonly ModelMessage[];
  /** What the session was about so far, where the agent keeps summaries. */
  readonly summary: SessionSummary | undefined;
  /** What is remembered of the user; undefined where the agent does not remember, or the run has no user. */
  readonly memories: UserMemories | undefined;
  /** Tools read and change it in place. */
  readonly sessionState: JsonObject;
  readonly dependencies: JsonObject;
  readonly metadata: JsonObject;
  readonly output: OutputSchema | undefined;
  readonly stream: boolean;
  readonly signal: AbortSignal;
  /** The run's own messages. The loop adds to them. Where there are some at the start, it goes on from them. */
  readonly messages: Message[];
  /** Those that are there at the start, with their files, as the model is told them. */
  readonly said: readonly ModelMessage[];
  /** What there is of a run that was begun before: it does not start, it goes on. */
  readonly resumed: ResumedRun | undefined;
  /** Ids of calls that had begun when the server was lost, or the run that this one is made of ended. */
  readonly begun: ReadonlySet<string>;
  readonly observer: LoopObserver | undefined;
}

/** What a loop that goes on has to know beside the messages. */
export interface ResumedRun {
  /** What was said so far. */
  readonly text: string;
  /** The run's calls, with what people decided of those that waited. */
  readonly tools: readonly ToolExecution[];
}

/** Not an event: a point from which the run could go on after a crash. The end of a run is one too. */
export interface Checkpoint {
  event: "Checkpoint";
  /** Events that it is about: they are stored with it, or not at all. */
  events?: readonly RunEventBody[];
}

/** Not an event: tools are about to begin. Where another process may take the run up, what they are must be stored first. */
export interface Barrier {
  event: "Barrier";
}

/** What the loop gives whoever drives it: an event, several that came together, a checkpoint or a barrier. */
export type LoopStep = RunEventBody | readonly RunEventBody[] | Checkpoint | Barrier;
