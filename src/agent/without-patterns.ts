import { isJsonObject, type JsonObject } from "../events/json.ts";
import { innerSchemas, mapInner, referred } from "./json-schema.ts";

/** Keywords under which a schema that takes more makes the whole take less, or something else. */
const turning = new Set(["oneOf", "not", "if", "contains"]);

/**
 * The schema without regular expressions. The model is told them, but a caller's own must not be run here: one that takes
 * for ever on the right text would stop the server. What is left takes all that the schema takes, and a little more.
 *
 * @param root - the whole schema, within the limits of a caller's
 * @throws {Error} when one of them is none, or stands where leaving it out would refuse what the schema takes
 */
export function withoutPatterns(root: JsonObject): JsonObject {
  refuseDecisive(root, root, undefined, new Map());
  return leftOut(root);
}

function leftOut(schema: JsonObject): JsonObject {
  const { pattern: _, patternProperties: __, ...rest } = schema;
  return mapInner(rest, leftOut);
}

/** @param under - the keyword above that turns what is below it around */
function refuseDecisive(
  schema: JsonObject,
  root: JsonObject,
  under: string | undefined,
  seen: Map<string | undefined, Set<JsonObject>>,
): void {
  const done = seen.get(under) ?? new Set();
  if (done.has(schema)) return;
  seen.set(under, done.add(schema));
  refuseOwn(schema, under);
  for (const [keyword, inner] of innerSchemas(schema)) {
    const isDefinition = keyword === "$defs" || keyword === "definitions";
    const turned = under ?? (turning.has(keyword) ? keyword : undefined);
    refuseDecisive(inner, root, isDefinition ? undefined : turned, seen);
  }
  const target = referred(schema, root);
  if (target) refuseDecisive(target, root, under, seen);
}

function refuseOwn(schema: JsonObject, under: string | undefined): void {
  const { pattern, patternProperties, additionalProperties } = schema;
  const patterns = [
    ...(typeof pattern === "string" ? [pattern] : []),
    ...(isJsonObject(patternProperties) ? Object.keys(patternProperties) : []),
  ];
  for (const one of patterns) new RegExp(one, "u");
  if (patterns.length === 0) return;
  if (under !== undefined)
    throw new Error(`pattern and patternProperties cannot be checked under ${under}. Leave them out there`);
  const others = isJsonObject(additionalProperties) ? Object.keys(additionalProperties).length > 0 : false;
  if (patternProperties !== undefined && (additionalProperties === false || others))
    throw new Error("patternProperties cannot be checked beside additionalProperties. Leave one of them out");
}
