import type { JsonObject } from "../events/json.ts";
import type { Message } from "../events/messages.ts";
import type { RunEventBody } from "../events/run-events.ts";
import type { Attachment, ModelMessage } from "../models/model.ts";
import type { AgentDefinition } from "./definition.ts";
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
  /** The run's own messages. The loop adds to them. */
  readonly messages: Message[];
}

/** Not an event: a point from which the run could go on after a crash. The end of a run is one too. */
export interface Checkpoint {
  event: "Checkpoint";
}

/** What the loop gives whoever drives it: an event, several that came together, or a checkpoint. */
export type LoopStep = RunEventBody | readonly RunEventBody[] | Checkpoint;
