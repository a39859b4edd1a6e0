import { isJsonObject, type JsonObject } from "../events/json.ts";

/** Keywords whose value is a schema, or a list of them. What is not here or below is data, or is not looked at. */
const schemas = [
  "anyOf",
  "oneOf",
  "allOf",
  "not",
  "if",
  "then",
  "else",
  "items",
  "prefixItems",
  "additionalItems",
  "unevaluatedItems",
  "contains",
  "additionalProperties",
  "unevaluatedProperties",
  "propertyNames",
];

/** Keywords whose value has names, and a schema under each. */
const maps = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];

/** A schema inside another: under which keyword. */
export type Inner = readonly [keyword: string, schema: JsonObject];

/** The schemas that stand in a schema, one level down, without where its `$ref` leads. */
export function* innerSchemas(schema: JsonObject): Generator<Inner> {
  for (const keyword of schemas) {
    for (const one of [schema[keyword] as unknown].flat()) if (isJsonObject(one)) yield [keyword, one];
  }
  for (const keyword of maps) {
    const named: unknown = schema[keyword];
    if (!isJsonObject(named)) continue;
    for (const one of Object.values(named)) if (isJsonObject(one)) yield [keyword, one];
  }
}

/** The same schema with each schema one level down replaced. Data, such as in `const` or `default`, is left alone. */
export function mapInner(schema: JsonObject, replace: (inner: JsonObject) => JsonObject): JsonObject {
  const one = (value: unknown) => (isJsonObject(value) ? replace(value) : value);
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]: [string, unknown]) => {
      if (schemas.includes(keyword)) return [keyword, Array.isArray(value) ? value.map(one) : one(value)];
      if (!maps.includes(keyword) || !isJsonObject(value)) return [keyword, value];
      return [keyword, Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, one(inner)]))];
    }),
  );
}

/**
 * Where a schema's `$ref` leads; undefined where it has none.
 *
 * @throws {Error} when it leads to nothing, or elsewhere than to the root or to a definition
 */
export function referred(schema: JsonObject, root: JsonObject): JsonObject | undefined {
  const reference: unknown = schema["$ref"];
  if (reference === undefined) return undefined;
  if (reference === "#") return root;
  const name = typeof reference === "string" && /^#\/(?:\$defs|definitions)\/([^/]+)$/.exec(reference)?.[1];
  if (!name) {
    throw new Error(
      `$ref ${JSON.stringify(reference)} must be "#" or "#/$defs/NAME"; others cannot be checked`,
    );
  }
  const definitions: unknown = root["$defs"] ?? root["definitions"];
  const key = name.replaceAll("~1", "/").replaceAll("~0", "~");
  const found: unknown =
    isJsonObject(definitions) && Object.hasOwn(definitions, key) ? definitions[key] : undefined;
  if (!isJsonObject(found)) throw new Error(`$ref "${reference}" leads to nothing`);
  return found;
}
