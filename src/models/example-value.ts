import { isJsonObject, type JsonObject, type JsonValue } from "../events/json.ts";

// A schema may refer to itself. Below this depth only what is required is filled in, below twice of it nothing.
const deepest = 8;

/**
 * A value that fits a JSON schema, as far as one can be found without search: the first of an `enum` or `anyOf`,
 * the lowest number, the shortest array, and `text` wherever a string goes.
 *
 * @param schema - the JSON schema; `$ref` may point inside it
 * @param text - what strings say
 * @example
 * exampleValue({ type: "object", properties: { city: { type: "string" }, sights: { type: "array" } } }, "Rome");
 * // { city: "Rome", sights: [] }
 */
export function exampleValue(schema: JsonObject, text: string): JsonValue {
  return valueFor(schema, schema, text, 0);
}

function valueFor(schema: unknown, root: JsonObject, text: string, depth: number): JsonValue {
  if (!isJsonObject(schema) || depth > 2 * deepest) return null;
  if ("const" in schema) return schema.const;
  if ("default" in schema) return schema.default;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum[0];
  if (typeof schema.$ref === "string") return valueFor(resolve(schema.$ref, root), root, text, depth + 1);
  const choice = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choice)) return valueFor(choice[0], root, text, depth + 1);
  if (Array.isArray(schema.allOf)) return valueFor(merged(schema), root, text, depth + 1);
  switch (typeOf(schema)) {
    case "object":
      return objectFor(schema, root, text, depth);
    case "array":
      return Array.from({ length: schema.minItems ?? 0 }, () =>
        valueFor(schema.items, root, text, depth + 1),
      );
    case "number":
    case "integer":
      return numberFor(schema);
    case "boolean":
      return false;
    case "null":
      return null;
    default:
      return stringFor(schema, text);
  }
}

function typeOf(schema: JsonObject): unknown {
  if ("type" in schema) return Array.isArray(schema.type) ? schema.type[0] : schema.type;
  return "properties" in schema ? "object" : "string";
}

function objectFor(schema: JsonObject, root: JsonObject, text: string, depth: number): JsonValue {
  const required: unknown[] = Array.isArray(schema.required) ? schema.required : [];
  const fields = Object.entries(schema.properties ?? {}).filter(
    ([name]) => depth < deepest || required.includes(name),
  );
  return Object.fromEntries(fields.map(([name, field]) => [name, valueFor(field, root, text, depth + 1)]));
}

function merged(schema: JsonObject): JsonObject {
  const parts: JsonObject[] = [{ ...schema, allOf: undefined }, ...schema.allOf.filter(isJsonObject)];
  return {
    ...Object.assign({}, ...parts),
    allOf: undefined,
    properties: Object.assign({}, ...parts.map((part) => part.properties ?? {})),
    required: parts.flatMap((part) => part.required ?? []),
  };
}

function numberFor({ minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf }: JsonObject): number {
  const step = multipleOf ?? 1;
  if (minimum > 0) return Math.ceil(minimum / step) * step;
  if (exclusiveMinimum >= 0) return (Math.floor(exclusiveMinimum / step) + 1) * step;
  if (maximum < 0) return Math.floor(maximum / step) * step;
  if (exclusiveMaximum <= 0) return (Math.ceil(exclusiveMaximum / step) - 1) * step;
  return 0;
}

const formatExamples: Readonly<Record<string, string>> = {
  "date-time": "2000-01-01T00:00:00Z",
  date: "2000-01-01",
  time: "00:00:00Z",
  email: "someone@example.com",
  uri: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
  ipv4: "127.0.0.1",
};

function stringFor({ format, minLength, maxLength }: JsonObject, text: string): string {
  const example = typeof format === "string" ? formatExamples[format] : undefined;
  return example ?? text.padEnd(minLength ?? 0, ".").slice(0, maxLength);
}

function resolve(reference: string, root: JsonObject): unknown {
  if (!reference.startsWith("#")) return undefined;
  let at: unknown = root;
  for (const step of reference.split("/").slice(1)) {
    const name = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
    at = isJsonObject(at) ? at[name] : undefined;
  }
  return at;
}
