/** Any value that JSON can hold. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** A JSON object, such as a session's state or a run's metadata. */
// biome-ignore lint/suspicious/noExplicitAny: a named interface must be assignable to it, which an index signature of JsonValue forbids.
export type JsonObject = { [key: string]: any };

/** Whether a value is an object in the sense of JSON: not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
