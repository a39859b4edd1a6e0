import type { Message } from "../events/messages.ts";
import type { TokenUsage } from "../events/metrics.ts";

/** Listens to the loop at work, for what its events do not tell. Must not throw. */
export interface LoopObserver {
  /** A turn of the model begins. The list of messages may grow afterwards. */
  modelRequested(messages: readonly Message[], stream: boolean): void;
  /** The model failed, and is asked again after some seconds. */
  modelRetried(error: Error, seconds: number): void;
  /** A turn of the model has ended. */
  modelAnswered(message: Message, usage: TokenUsage): void;
  /** Runs a tool's code, and gives what it gives. */
  inTool<T>(callId: string, work: () => T): T;
}
