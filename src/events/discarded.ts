import type { RunEventBody } from "./run-events.ts";

/** Characters of text that make a token, about. */
const charactersOfToken = 4;

/**
 * The output of turns that were cut off with their process and taken back. Nobody reported what such a turn used, so it is
 * estimated from the text that had come; where the report had come, that counts.
 *
 * @param events - of one run, in the order of their index
 * @returns tokens
 */
export function discardedTokens(events: Iterable<{ event: string; event_index: number }>): number {
  let turns: { index: number; characters: number; reported: number }[] = [];
  let discarded = 0;
  for (const given of events) {
    const index = given.event_index;
    if (given.event === "RunRecovered") {
      const { discard_from_index: from } = given as unknown as { discard_from_index: number };
      for (const turn of turns) {
        if (turn.index < from) continue;
        discarded += turn.reported || Math.ceil(turn.characters / charactersOfToken);
      }
      turns = turns.filter((turn) => turn.index < from);
      continue;
    }
    const event = given as unknown as RunEventBody;
    const turn = turns.at(-1);
    if (event.event === "ModelRequestStarted") turns.push({ index, characters: 0, reported: 0 });
    else if (!turn) continue;
    else if (event.event === "RunContent") turn.characters += event.content.length;
    else if (event.event === "ReasoningContentDelta") turn.characters += event.reasoning_content.length;
    else if (event.event === "ModelRequestCompleted") turn.reported = event.output_tokens;
  }
  return discarded;
}
