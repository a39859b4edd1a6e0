import type * as z from "zod";
import { InvalidRequestError } from "../errors.ts";
import type { JsonObject } from "../events/json.ts";
import { refuseUnfit, refuseUnknown, type Shape, shapes } from "../options.ts";
import type { Decision } from "./decisions.ts";
import type { AgentDefinition } from "./definition.ts";
import { outputFromZod } from "./output.ts";
import type { ContinueRequest } from "./runner.ts";

/** How a run goes on. A paused one takes decisions; one that has ended takes the others, and a new run is made of it. */
export interface ContinueOptions<TOutput = string, TDependencies extends JsonObject = JsonObject> {
  /** What people decided about the calls that a paused run waits for, all of them. */
  decisions?: readonly Decision[];
  /** What the user says next. */
  input?: string;
  /** Up to where the ended run is taken along: its end, its last user message, or so many messages. Default `end`. */
  continueFrom?: "end" | "last_user" | number;
  /** Whether the same question is answered again. Default false. */
  regenerate?: boolean;
  /** Whether the regenerated answer takes the place of the first. Default true. */
  replaceOriginal?: boolean;
  /** What the user says to the regenerated answer. */
  additionalInstructions?: string;
  /** The run must be of this session and this user. */
  sessionId?: string;
  userId?: string;
  /** Those of the run, given again: of a paused run only what JSON can hold is kept. */
  dependencies?: TDependencies;
  /** Takes the place of the agent's output schema. A paused run keeps the one that it was started with. */
  outputSchema?: z.ZodType<TOutput>;
  /** Aborting it cancels the run. */
  signal?: AbortSignal;
}

const decision: Record<keyof Decision, Shape> = {
  toolCallId: shapes.text,
  toolName: shapes.text,
  toolArgs: shapes.object,
  confirmed: shapes.flag,
  note: shapes.text,
  input: shapes.object,
  result: { fits: (value) => value !== undefined, words: "a value that JSON can hold" },
};

const wanted = {
  decisions: {
    fits: (value) => Array.isArray(value) && value.every((one) => shapes.text.fits(one?.toolCallId)),
    words: "a list of { toolCallId, … }",
  },
  input: shapes.message,
  continueFrom: {
    fits: (value) =>
      value === "end" || value === "last_user" || (Number.isInteger(value) && Number(value) >= 0),
    words: '"end", "last_user" or a number of messages',
  },
  regenerate: shapes.flag,
  replaceOriginal: shapes.flag,
  additionalInstructions: shapes.message,
  sessionId: shapes.identifier,
  userId: shapes.identifier,
  dependencies: shapes.object,
  outputSchema: shapes.zod,
  signal: shapes.signal,
} satisfies Record<keyof ContinueOptions, Shape>;

/**
 * Options as a request.
 *
 * @throws {InvalidRequestError} that names the option that cannot work
 */
export function continueRequest<TOutput, TDependencies extends JsonObject>(
  agent: AgentDefinition,
  runId: string,
  options: ContinueOptions<TOutput, TDependencies>,
  stream: boolean,
): ContinueRequest {
  const call = stream ? "continueStream()" : "continue()";
  refuseUnknown(call, options, Object.keys(wanted), InvalidRequestError);
  refuseUnfit(call, options, wanted, InvalidRequestError);
  for (const one of options.decisions ?? []) {
    refuseUnknown(`${call}: decisions`, one, Object.keys(decision), InvalidRequestError);
    refuseUnfit(`${call}: decisions`, one, decision, InvalidRequestError);
  }
  const { regenerate = false, outputSchema, continueFrom = "end", ...rest } = options;
  for (const option of ["replaceOriginal", "additionalInstructions"] as const) {
    if (!regenerate && options[option] !== undefined) {
      throw new InvalidRequestError(`${call}: ${option} goes with regenerate alone.`);
    }
  }
  if (regenerate && options.input !== undefined) {
    throw new InvalidRequestError(`${call}: with regenerate the question stays the same. Leave out input.`);
  }
  return {
    ...rest,
    agent,
    runId,
    decisionsAt: ["decisions"],
    continueFrom,
    fork: false,
    regenerate,
    stream,
    ...(outputSchema && { output: outputFromZod(call, outputSchema, InvalidRequestError) }),
  };
}
