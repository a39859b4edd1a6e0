import { isJsonObject, type JsonObject, type JsonValue } from "../events/json.ts";

// A schema may refer to itself. Below this depth only what is required is filled in, below twice of it nothing.
const deepest = 8;

// A schema may come from a caller, and ask for more than there is room for.
const mostItems = 100;
const shortestText = 100;
const mostValues = 10_000;
const mostCharacters = 1_000_000;

/**
 * A value that fits a JSON schema, as far as one can be found without search: the first of an `enum` or `anyOf`,
 * the lowest number, the shortest array, and `text` wherever a string goes. What would be very large is left short, even
 * where it then does not fit.
 *
 * @param schema - the JSON schema; `$ref` may point inside it
 * @param text - what strings say
 * @example
 * exampleValue({ type: "object", properties: { city: { type: "string" }, sights: { type: "array" } } }, "Rome");
 * // { city: "Rome", sights: [] }
 */
export function exampleValue(schema: JsonObject, text: string): JsonValue {
  return new Example(schema, text).valueFor(schema, 0);
}

class Example {
  readonly #root: JsonObject;
  readonly #text: string;
  #valuesLeft = mostValues;
  #charactersLeft = mostCharacters;

  constructor(root: JsonObject, text: string) {
    this.#root = root;
    this.#text = text;
  }

  valueFor(schema: unknown, depth: number): JsonValue {
    if (!isJsonObject(schema) || depth > 2 * deepest || --this.#valuesLeft < 0) return null;
    if ("const" in schema) return this.#given(schema.const);
    if ("default" in schema) return this.#given(schema.default);
    if (Array.isArray(schema.enum) && schema.enum.length > 0) return this.#given(schema.enum[0]);
    if (typeof schema.$ref === "string") return this.valueFor(resolve(schema.$ref, this.#root), depth + 1);
    const choice = schema.anyOf ?? schema.oneOf;
    if (Array.isArray(choice)) return this.valueFor(choice[0], depth + 1);
    if (Array.isArray(schema.allOf)) return this.valueFor(merged(schema), depth + 1);
    switch (typeOf(schema)) {
      case "object":
        return this.#objectFor(schema, depth);
      case "array":
        return Array.from({ length: atMost(mostItems, schema.minItems) }, () =>
          this.valueFor(schema.items, depth + 1),
        );
      case "number":
      case "integer":
        return numberFor(schema);
      case "boolean":
        return false;
      case "null":
        return null;
      default:
        return this.#stringFor(schema);
    }
  }

  #objectFor(schema: JsonObject, depth: number): JsonValue {
    const required = new Set<unknown>(Array.isArray(schema.required) ? schema.required : []);
    const fields: [string, JsonValue][] = [];
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      if (depth >= deepest && !required.has(name)) continue;
      if (this.#valuesLeft <= 0 || !this.#takes(name.length)) break;
      fields.push([name, this.valueFor(field, depth + 1)]);
    }
    return Object.fromEntries(fields);
  }

  #stringFor({ format, minLength, maxLength }: JsonObject): string {
    const example = typeof format === "string" ? formatExamples[format] : undefined;
    const text = example ?? this.#text.padEnd(atMost(shortestText, minLength), ".").slice(0, maxLength);
    return this.#takes(text.length) ? text : "";
  }

  /** A value that stands in the schema. */
  #given(value: JsonValue): JsonValue {
    return this.#charactersLeft > 0 && this.#takes(JSON.stringify(value).length) ? value : null;
  }

  /** Whether there is still room for so many characters; it is taken then. */
  #takes(characters: number): boolean {
    this.#charactersLeft -= characters;
    return this.#charactersLeft >= 0;
  }
}

function atMost(most: number, wanted: unknown): number {
  return typeof wanted === "number" && wanted > 0 ? Math.min(most, Math.ceil(wanted)) : 0;
}

function typeOf(schema: JsonObject): unknown {
  if ("type" in schema) return Array.isArray(schema.type) ? schema.type[0] : schema.type;
  return "properties" in schema ? "object" : "string";
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

function resolve(reference: string, root: JsonObject): unknown {
  if (!reference.startsWith("#")) return undefined;
  let at: unknown = root;
  for (const step of reference.split("/").slice(1)) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    at = isJsonObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}
