import { isJsonObject, type JsonObject } from "../events/json.ts";

// A list of what is allowed, not of what is refused: OpenAI answers 400 for any keyword that it does not know,
// while a schema that is wrongly held back is only followed less strictly.
const annotations = new Set(["title", "description", "$schema", "$id", "pattern", "format"]);
const constraints = new Set([
  "multipleOf",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minItems",
  "maxItems",
  "enum",
  "const",
]);
const structure = new Set([
  "type",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "anyOf",
  "$ref",
  "$defs",
  "definitions",
]);
const formats = new Set([
  "date-time",
  "time",
  "date",
  "duration",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "uuid",
]);
const lookaround = /\(\?<?[=!]/;

/**
 * Whether OpenAI can hold a model to this schema to the letter.
 * That takes a root object, `additionalProperties: false` and every property required on each object,
 * and no keyword outside the supported ones.
 *
 * @param schema - a JSON schema
 * @see https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 * @example
 * qualifiesForStrictMode({ type: "object", properties: {}, required: [], additionalProperties: false }); // true
 * qualifiesForStrictMode({ type: "object", properties: { a: { type: "string" } } }); // false
 */
export function qualifiesForStrictMode(schema: JsonObject): boolean {
  return schema.type === "object" && qualifies(schema);
}

function qualifies(schema: unknown): boolean {
  if (!isJsonObject(schema)) return false;
  for (const keyword of Object.keys(schema)) {
    if (!annotations.has(keyword) && !constraints.has(keyword) && !structure.has(keyword)) return false;
  }
  if (!saysWhatItTakes(schema)) return false;
  if (typeof schema.format === "string" && !formats.has(schema.format)) return false;
  if (typeof schema.pattern === "string" && lookaround.test(schema.pattern)) return false;
  return objectQualifies(schema) && childrenQualify(schema);
}

function saysWhatItTakes(schema: JsonObject): boolean {
  return ["type", "anyOf", "$ref", "enum", "const"].some((keyword) => keyword in schema);
}

function objectQualifies(schema: JsonObject): boolean {
  const types: unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
  if (!types.includes("object") && !("properties" in schema)) return true;
  if (schema.additionalProperties !== false) return false;
  const required: unknown[] = Array.isArray(schema.required) ? schema.required : [];
  return Object.keys(schema.properties ?? {}).every((name) => required.includes(name));
}

function childrenQualify(schema: JsonObject): boolean {
  if ("items" in schema && !qualifies(schema.items)) return false;
  if ("anyOf" in schema && !(Array.isArray(schema.anyOf) && schema.anyOf.every(qualifies))) return false;
  for (const keyword of ["properties", "$defs", "definitions"]) {
    if (!(keyword in schema)) continue;
    if (!isJsonObject(schema[keyword]) || !Object.values(schema[keyword]).every(qualifies)) return false;
  }
  return true;
}
