import { ModelError } from "../errors.ts";
import type { FinishReason, MessageToolCall } from "../events/messages.ts";
import { parsed } from "./call-arguments.ts";

/** How a turn of the model ended, and what there is of it. */
export interface TurnEnd {
  finishReason: FinishReason;
  /** Whether a tool call was under way when it ended. */
  lostCall: boolean;
  text: string;
  calls: readonly MessageToolCall[];
}

/**
 * Refuses a turn that was ended before it said what it was to say. A text that is cut off is still an answer.
 *
 * @param isTyped - whether the answer must be of a given shape
 * @throws {ModelError} that says what to change
 */
export function refuseCutOff({ finishReason, lostCall, text, calls }: TurnEnd, isTyped: boolean): void {
  if (finishReason === "content-filter") {
    throw new ModelError("The provider's content filter ended the model's answer. Change the message.");
  }
  if (finishReason !== "length") return;
  const what =
    lostCall || !calls.every((call) => parsed(call.function.arguments) !== undefined)
      ? "a tool call was cut off"
      : lackOf(text, calls, isTyped);
  if (what === undefined) return;
  throw new ModelError(
    `The model reached its limit of tokens: ${what}. Raise the model's maxOutputTokens, or ask for less.`,
  );
}

function lackOf(text: string, calls: readonly MessageToolCall[], isTyped: boolean): string | undefined {
  if (calls.length > 0) return undefined;
  if (text === "") return "there is no answer yet";
  return isTyped ? "the object that the output schema asks for was cut off" : undefined;
}
