import * as z from "zod";
import { ConfigurationError, OutputSchemaError } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../events/json.ts";
import type { OutputFormat } from "../models/model.ts";

/** The shape that a run's answer must have, and how an answer is held against it. */
export interface OutputSchema extends OutputFormat {
  /** @throws {OutputSchemaError} when the text is no JSON, or does not fit */
  parse(text: string): Promise<JsonValue>;
}

/**
 * An output schema from a zod schema.
 *
 * @param what - whose it is, for the error: such as `Agent "copilot"`
 * @throws {ConfigurationError} when it is no object, or has no JSON form
 */
export function outputFromZod(what: string, schema: z.ZodType): OutputSchema {
  let json: JsonObject;
  try {
    json = z.toJSONSchema(schema, { io: "input" });
  } catch (error) {
    throw new ConfigurationError(`${what}: outputSchema cannot be told to a model: it has no JSON form.`, {
      cause: error,
    });
  }
  const { $schema: _dialect, ...rest } = json;
  if (rest["type"] !== undefined && rest["type"] !== "object") {
    throw new ConfigurationError(`${what}: outputSchema must be an object: z.object({ … }).`);
  }
  return outputSchema(rest, schema);
}

/**
 * An output schema from a JSON schema, as a caller sends one.
 *
 * @throws {Error} with what is wrong, when it is none, or uses what cannot be checked here
 */
export function outputFromJsonSchema(schema: unknown): OutputSchema {
  if (!isJsonObject(schema)) throw new Error("Input should be a JSON object that is a JSON schema");
  if (schema["type"] !== undefined && schema["type"] !== "object") {
    throw new Error("The root of the schema must be of type object");
  }
  return outputSchema(schema, z.fromJSONSchema(withoutPatterns({ type: "object", ...schema }) as JsonObject));
}

function outputSchema(schema: JsonObject, check: z.ZodType): OutputSchema {
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
      const checked = await check.safeParseAsync(value);
      if (checked.success) return value;
      throw new OutputSchemaError(
        `The model's answer does not fit the output schema. ${z.prettifyError(checked.error)}`,
      );
    },
  };
}

/** Keywords whose keys are names, not keywords. */
const named = new Set(["properties", "$defs", "definitions", "dependentSchemas"]);

/**
 * The schema without regular expressions. The model is told them, but a caller's own must not be run here: one that takes
 * for ever on the right text would stop the server.
 *
 * @throws {SyntaxError} when one of them is none
 */
function withoutPatterns(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutPatterns);
  if (!isJsonObject(schema)) return schema;
  const { pattern, patternProperties } = schema;
  if (typeof pattern === "string") new RegExp(pattern, "u");
  if (isJsonObject(patternProperties)) for (const key of Object.keys(patternProperties)) new RegExp(key, "u");
  const kept = Object.entries(schema).filter(([key]) => key !== "pattern" && key !== "patternProperties");
  return Object.fromEntries(
    kept.map(([key, value]: [string, unknown]) => [
      key,
      named.has(key) && isJsonObject(value)
        ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutPatterns(inner)]))
        : withoutPatterns(value),
    ]),
  );
}

/** It is stored as text, and PostgreSQL's text holds no NUL. */
function titleOf({ title }: JsonObject): string {
  return typeof title === "string" ? title.toWellFormed().replace(/[\u0000-\u001f\u007f]/g, "") : "";
}
