import type { ModelMessage } from "../models/model.ts";

/** Characters that count as one token where nobody counts better. */
const charactersPerToken = 4;

/** A message of an earlier run, and which. */
export interface EarlierMessage {
  runId: string;
  message: ModelMessage;
}

/** About how many tokens messages take. */
export function estimateTokens(messages: Iterable<ModelMessage>): number {
  let characters = 0;
  for (const { content, tool_calls } of messages) {
    characters += content?.length ?? 0;
    for (const call of tool_calls ?? [])
      characters += call.function.name.length + call.function.arguments.length;
  }
  return Math.ceil(characters / charactersPerToken);
}

/**
 * The newest runs that fit a budget. A run is told whole or not at all, and the last one always.
 *
 * @param history - oldest first
 * @param budget - tokens; undefined for all
 */
export function withinBudget(
  history: readonly EarlierMessage[],
  budget: number | undefined,
): EarlierMessage[] {
  if (budget === undefined) return [...history];
  const runs = Map.groupBy(history, ({ runId }) => runId);
  const kept: EarlierMessage[][] = [];
  let left = budget;
  for (const messages of [...runs.values()].reverse()) {
    left -= estimateTokens(messages.map(({ message }) => message));
    if (left < 0 && kept.length > 0) break;
    kept.unshift(messages);
  }
  return kept.flat();
}
