import * as z from "zod";
import { ConfigurationError, OutputSchemaError } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../events/json.ts";
import type { OutputFormat } from "../models/model.ts";
import type { Refusal } from "../options.ts";
import { deepestAnswer, isCheckable, isTooDeep } from "./check-cost.ts";
import { refuseBeyondLimits } from "./schema-limits.ts";
import { withoutPatterns } from "./without-patterns.ts";

/** The shape that a run's answer must have, and how an answer is held against it. */
export interface OutputSchema extends OutputFormat {
  /** @throws {OutputSchemaError} when the text is no JSON, or does not fit */
  parse(text: string): Promise<JsonValue>;
}

/**
 * An output schema from a zod schema.
 *
 * @param what - whose it is, for the error: such as `Agent "copilot"`
 * @param As - what a refusal is thrown as
 * @throws {ConfigurationError} when it is no object, or has no JSON form
 */
export function outputFromZod(
  what: string,
  schema: z.ZodType,
  As: Refusal = ConfigurationError,
): OutputSchema {
  let json: JsonObject;
  try {
    json = z.toJSONSchema(schema, { io: "input" });
  } catch (error) {
    const refusal = new As(`${what}: outputSchema cannot be told to a model: it has no JSON form.`);
    throw Object.assign(refusal, { cause: error });
  }
  const { $schema: _dialect, ...rest } = json;
  if (rest["type"] !== undefined && rest["type"] !== "object") {
    throw new As(`${what}: outputSchema must be an object: z.object({ … }).`);
  }
  return outputSchema(rest, schema);
}

/**
 * An output schema from a JSON schema, as a caller sends one. The caller is not trusted: neither the schema nor what the
 * model makes of it may hold the event loop.
 *
 * @throws {Error} with what is wrong, when it is none, costs too much, or uses what cannot be checked here
 */
export function outputFromJsonSchema(schema: unknown): OutputSchema {
  if (!isJsonObject(schema)) throw new Error("Input should be a JSON object that is a JSON schema");
  if (schema["type"] !== undefined && schema["type"] !== "object") {
    throw new Error("The root of the schema must be of type object");
  }
  const whole: JsonObject = { type: "object", ...schema };
  refuseBeyondLimits(whole);
  const check = z.fromJSONSchema(withoutPatterns(whole));
  return outputSchema(schema, check, (answer) => {
    if (isTooDeep(answer)) return `It is nested more than ${deepestAnswer} levels deep.`;
    return isCheckable(whole, answer) ? undefined : "It would take too long to check.";
  });
}

/** Characters of what is wrong with an answer. */
const longestReason = 2000;

/** @param refuse - says what is wrong with an answer that must not be checked */
function outputSchema(
  schema: JsonObject,
  check: z.ZodType,
  refuse: (answer: JsonValue) => string | undefined = () => undefined,
): OutputSchema {
  const unfit = (reason: string) =>
    new OutputSchemaError(
      `The model's answer does not fit the output schema. ${reason.length > longestReason ? `${reason.slice(0, longestReason).toWellFormed()}…` : reason}`,
    );
  const faultOf = async (answer: JsonValue): Promise<string | undefined> => {
    try {
      const refusal = refuse(answer);
      if (refusal !== undefined) return refusal;
      const checked = await check.safeParseAsync(answer);
      return checked.success ? undefined : z.prettifyError(checked.error);
    } catch (error) {
      // Branches of the schema and levels of the answer together may be more than the stack holds.
      if (error instanceof RangeError) return "It is nested too deep to be checked.";
      throw error;
    }
  };
  return {
    name: titleOf(schema) || "output",
    schema: { type: "object", ...schema },
    async parse(text) {
      let value: JsonValue;
      try {
        value = JSON.parse(text) as JsonValue;
      } catch (error) {
        throw new OutputSchemaError("The model's answer is not the JSON that the output schema asks for.", {
          cause: error,
        });
      }
      const fault = await faultOf(value);
      if (fault !== undefined) throw unfit(fault);
      return value;
    },
  };
}

/** It is stored as text, and PostgreSQL's text holds no NUL. */
function titleOf({ title }: JsonObject): string {
  return typeof title === "string" ? title.toWellFormed().replace(/[\u0000-\u001f\u007f]/g, "") : "";
}
