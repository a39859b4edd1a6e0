import { z } from "@hono/zod-openapi";
import type { Decision } from "../agent/decisions.ts";
import type { ContinueRequest } from "../agent/runner.ts";
import { InvalidRequestError } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../events/json.ts";
import type { ParsedBody } from "./body.ts";
import { fromZod } from "./errors.ts";
import { optionalIdentifier } from "./identifiers.ts";
import { typedBody } from "./run-fields.ts";

/** A call as a client sends it back: what it was told of it, with what was decided. */
const decidedTool = z.looseObject({
  tool_call_id: z.string(),
  tool_name: z.string().nullish(),
  tool_args: z.record(z.string(), z.unknown()).nullish(),
  confirmed: z.boolean().nullish(),
  confirmation_note: z.string().nullish(),
  user_input_schema: z.array(z.looseObject({ name: z.string(), value: z.unknown().optional() })).nullish(),
  result: z.unknown().optional(),
});

const text = z.string().refine((said) => said.trim() !== "", "The text is empty");

/** An empty text in a form is a field that is not there. */
const optionalText = z.preprocess((value) => (value === "" ? undefined : value), text.nullish());

const place = z.union(
  [
    z.enum(["end", "last_user"]),
    z.int().min(0),
    z
      .string()
      .regex(/^\d{1,9}$/)
      .transform(Number),
  ],
  'It must be "end", "last_user" or a number of messages',
);

/** The fields of a continue. What is not here is refused. */
const continueFields = z.strictObject({
  tools: z.array(decidedTool).nullish(),
  input: optionalText,
  continue_from: z.preprocess((value) => (value === "" ? undefined : value), place.nullish()),
  fork: z.boolean().nullish(),
  regenerate: z.boolean().nullish(),
  replace_original: z.boolean().nullish(),
  additional_instructions: optionalText,
  session_id: optionalIdentifier,
  user_id: optionalIdentifier,
  stream: z.boolean().nullish(),
  background: z.boolean().nullish(),
});

/** A continue as a caller asked for it. */
export interface ContinueFields extends Omit<ContinueRequest, "agent" | "runId" | "stream"> {
  /** Undefined where nothing is said of it. */
  stream: boolean | undefined;
  background: boolean;
}

/**
 * Makes the fields of a continue of a body, whatever its type; there may be none.
 *
 * @param query - where the session and the user may stand too
 * @throws {InvalidRequestError} that names every field that is wrong
 */
export function parseContinueFields(
  body: ParsedBody | undefined,
  { session_id, user_id }: Record<string, string>,
): ContinueFields {
  const given = body ? typedBody(body) : {};
  if (!isJsonObject(given))
    throw InvalidRequestError.field(["body"], "Input should be a JSON object", { input: given });
  const input = { session_id, user_id, ...given };
  const parsed = continueFields.safeParse(input);
  if (!parsed.success) throw fromZod(parsed.error, "body", input);
  const fields = parsed.data;
  const { regenerate, fork } = fields;
  refuse(fork && regenerate, "fork", "A regenerated run is a fork already. Leave one of the two out");
  refuse(
    fields.input && regenerate,
    "input",
    "With regenerate the question stays the same. Use additional_instructions",
  );
  refuse(
    typeof fields.replace_original === "boolean" && !regenerate,
    "replace_original",
    "It goes with regenerate alone",
  );
  refuse(
    fields.additional_instructions && !regenerate,
    "additional_instructions",
    "They go with regenerate alone. Use input",
  );
  return {
    decisions: (fields.tools ?? []).map(decisionOf),
    decisionsAt: ["body", "tools"],
    continueFrom: fields.continue_from ?? "end",
    fork: fork ?? false,
    regenerate: regenerate ?? false,
    stream: fields.stream ?? undefined,
    background: fields.background ?? false,
    ...(fields.input && { input: fields.input }),
    ...(fields.session_id !== undefined && { sessionId: fields.session_id }),
    ...(fields.user_id !== undefined && { userId: fields.user_id }),
    ...(typeof fields.replace_original === "boolean" && { replaceOriginal: fields.replace_original }),
    ...(fields.additional_instructions && { additionalInstructions: fields.additional_instructions }),
  };
}

function refuse(is: unknown, field: string, msg: string): void {
  if (is) throw InvalidRequestError.field(["body", field], msg);
}

function decisionOf(tool: z.output<typeof decidedTool>): Decision {
  const { confirmed, confirmation_note: note, user_input_schema: filled, result } = tool;
  return {
    toolCallId: tool.tool_call_id,
    ...(tool.tool_name && { toolName: tool.tool_name }),
    ...(tool.tool_args && { toolArgs: tool.tool_args as JsonObject }),
    ...(typeof confirmed === "boolean" && { confirmed }),
    ...(typeof note === "string" && { note }),
    ...(filled && {
      input: Object.fromEntries(filled.map(({ name, value }) => [name, value ?? null])) as JsonObject,
    }),
    ...(result !== null && result !== undefined && { result: result as JsonValue }),
  };
}
