import type { JsonObject } from "../events/json.ts";
import { innerSchemas, referred } from "./json-schema.ts";

// What a schema of a caller may be. Real ones are far below; one above could hold the event loop for minutes.
const mostParts = 2000;
const deepest = 50;
const mostWays = 10_000;

/** Keywords whose schemas are checked against the very value that the schema itself is checked against. */
const sameValue = new Set(["anyOf", "oneOf", "allOf"]);

/**
 * Refuses a schema that costs too much to check, or cannot be checked as it is meant.
 *
 * @param root - the whole schema
 * @throws {Error} that says what is too much
 */
export function refuseBeyondLimits(root: JsonObject): void {
  const all = partsOf(root);
  for (const schema of all) refuseMisread(schema);
  const ways = new Map<JsonObject, number>();
  for (const schema of all) {
    if (waysThrough(schema, root, ways) > mostWays)
      throw new Error(
        `It has more than ${mostWays} ways to check one value. Use fewer anyOf, oneOf and allOf`,
      );
  }
}

function partsOf(root: JsonObject): JsonObject[] {
  const parts: JsonObject[] = [];
  const visit = (schema: JsonObject, depth: number) => {
    if (depth > deepest) throw new Error(`It is nested more than ${deepest} levels deep`);
    if (parts.push(schema) > mostParts) throw new Error(`It has more than ${mostParts} parts`);
    for (const [, inner] of innerSchemas(schema)) visit(inner, depth + 1);
  };
  visit(root, 1);
  return parts;
}

/** What the checker would take for something else than it is. */
function refuseMisread(schema: JsonObject): void {
  const { type, const: constant, enum: values } = schema;
  if (Array.isArray(type) && new Set(type).size < type.length) throw new Error("It names a type twice");
  if (typeof constant === "object" && constant !== null)
    throw new Error("const of an object or a list cannot be checked");
  if (Array.isArray(values) && values.some((value) => typeof value === "object" && value !== null))
    throw new Error("enum with an object or a list cannot be checked");
  for (const keyword of ["anyOf", "oneOf"]) {
    const options: unknown = schema[keyword];
    if (Array.isArray(options) && options.length === 0) throw new Error(`${keyword} is empty`);
  }
}

/**
 * In how many ways one value goes through a schema: each branch and each `$ref` counts with all that it leads to.
 *
 * @throws {Error} when a schema leads to itself without taking anything of the value: that would never end
 */
function waysThrough(schema: JsonObject, root: JsonObject, known: Map<JsonObject, number>): number {
  const before = known.get(schema);
  if (before !== undefined) {
    if (before === underWay) throw new Error("A $ref leads to itself, so nothing would end the check");
    return before;
  }
  known.set(schema, underWay);
  let ways = 1;
  for (const next of onSameValue(schema, root)) ways += waysThrough(next, root, known);
  const counted = Math.min(ways, mostWays + 1);
  known.set(schema, counted);
  return counted;
}

const underWay = -1;

/** What else a value is checked against where it is checked against a schema. */
export function onSameValue(schema: JsonObject, root: JsonObject): JsonObject[] {
  const next = [...innerSchemas(schema)].flatMap(([keyword, inner]) => (sameValue.has(keyword) ? inner : []));
  const target = referred(schema, root);
  return target ? [...next, target] : next;
}
