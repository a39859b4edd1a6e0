import * as z from "zod";
import { ConfigurationError } from "./errors.ts";
import { isJsonObject } from "./events/json.ts";

/** What a refusal is thrown as: by default as what a constructor throws. */
export type Refusal = new (message: string) => Error;

/**
 * Refuses options that this version does not know. A later one may, and an option must never be taken without effect.
 *
 * @param what - such as `Agent "copilot"`
 */
export function refuseUnknown(
  what: string,
  options: object,
  known: readonly string[],
  As: Refusal = ConfigurationError,
): void {
  mustFit(what, "options", options, shapes.object, As);
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) throw new As(`${what}: this version has no option "${option}".`);
  }
}

/** What a value must be, in words, and whether one is. */
export interface Shape {
  fits(value: unknown): boolean;
  words: string;
}

const isText = (value: unknown) => typeof value === "string";
const areTexts = (value: unknown) => Array.isArray(value) && value.every(isText);
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const hasMethod = (value: unknown, name: string) => isJsonObject(value) && typeof value[name] === "function";

/** Whether a text holds no control characters, and no halves of a pair, which no database can store. */
export const isReadable = (text: string) => !/[\u0000-\u001f\u007f]/.test(text) && text.isWellFormed();

/** Characters that a name or an id has at most. */
export const longestName = 255;

/** Whether something can name a session, a user or a file: in a path, in a log and in both databases. */
export const isName = (value: unknown): value is string =>
  typeof value === "string" && value.length >= 1 && value.length <= longestName && isReadable(value);

const isFile = (value: unknown) =>
  isJsonObject(value) &&
  ["image", "audio", "file"].includes(value["kind"] as string) &&
  isName(value["filename"]) &&
  isName(value["mime_type"]) &&
  /^[\w.+-]+\/[\w.+-]/.test(value["mime_type"]) &&
  value["bytes"] instanceof Uint8Array;

export const shapes = {
  text: { fits: isText, words: "a text" },
  identifier: { fits: isName, words: "1 to 255 characters without control characters" },
  message: {
    fits: (value) => typeof value === "string" && value.trim() !== "",
    words: "a text that is not empty",
  },
  number: { fits: isNumber, words: "a number" },
  notNegative: { fits: (value) => isNumber(value) && value >= 0, words: "a number that is not negative" },
  count: {
    fits: (value) => isNumber(value) && Number.isInteger(value) && value >= 1,
    words: "a whole number of at least 1",
  },
  function: { fits: (value) => typeof value === "function", words: "a function" },
  flag: { fits: (value) => typeof value === "boolean", words: "true or false" },
  object: { fits: isJsonObject, words: "an object" },
  texts: { fits: areTexts, words: "a list of texts" },
  instructions: {
    fits: (value) => isText(value) || typeof value === "function" || areTexts(value),
    words: "a text, a list of texts, or a function that makes one",
  },
  database: {
    fits: (value) => hasMethod(value, "storeFor"),
    words: "a database, such as new SqliteDb()",
  },
  tools: {
    fits: (value) =>
      Array.isArray(value) &&
      value.every(
        (one) =>
          isJsonObject(one) && one["inputSchema"] instanceof z.ZodType && isJsonObject(one["definition"]),
      ),
    words: "a list of what tool() makes",
  },
  zod: { fits: (value) => value instanceof z.ZodType, words: "a zod object" },
  signal: { fits: (value) => value instanceof AbortSignal, words: "an AbortSignal" },
  files: {
    fits: (value) => Array.isArray(value) && value.every(isFile),
    words: 'a list of { kind: "image", "audio" or "file", filename, mime_type, bytes: a Uint8Array }',
  },
} satisfies Record<string, Shape>;

/** Refuses a value that does not fit. */
export function mustFit(
  what: string,
  option: string,
  value: unknown,
  { fits, words }: Shape,
  As: Refusal = ConfigurationError,
): void {
  if (!fits(value)) throw new As(`${what}: ${option} must be ${words}.`);
}

/** Refuses an option that is given and does not fit. */
export function refuseUnfit(
  what: string,
  options: object,
  wanted: Readonly<Record<string, Shape>>,
  As: Refusal = ConfigurationError,
): void {
  for (const [option, shape] of Object.entries(wanted)) {
    const value: unknown = options[option as keyof typeof options];
    if (value !== undefined) mustFit(what, option, value, shape, As);
  }
}
