import { isJsonObject, type JsonObject } from "../events/json.ts";
import { onSameValue } from "./schema-limits.ts";

/** Levels that an answer may be nested. */
export const deepestAnswer = 200;

/** Steps that a check may take: some 100 ms. */
const mostSteps = 250_000;

/** Whether a value is nested deeper than an answer may be. */
export function isTooDeep(value: unknown, levels = deepestAnswer): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isTooDeep(inner, levels - 1));
}

/**
 * Whether a value can be checked in reasonable time. A schema that refers to itself under several branches looks at each
 * part of a value more than once, at the parts of that again, and so on: only with the value at hand it can be told what
 * that comes to.
 *
 * @param root - within the limits of a caller's schema
 * @param value - not nested deeper than an answer may be
 */
export function isCheckable(root: JsonObject, value: unknown): boolean {
  return new Cost(root).of(root, value) <= mostSteps;
}

/** Counts the steps of a check, each pair of a schema and a part of the value once. Saturates. */
class Cost {
  readonly #root: JsonObject;
  readonly #known = new Map<JsonObject, Map<unknown, number>>();
  readonly #next = new Map<JsonObject, JsonObject[]>();
  readonly #sizes = new Map<unknown, number>();

  constructor(root: JsonObject) {
    this.#root = root;
  }

  of(schema: unknown, value: unknown): number {
    if (!isJsonObject(schema)) return 1;
    const costs = this.#known.get(schema) ?? new Map<unknown, number>();
    this.#known.set(schema, costs);
    const before = costs.get(value);
    if (before !== undefined) return before;
    const cost = Math.min(this.#count(schema, value), mostSteps + 1);
    costs.set(value, cost);
    return cost;
  }

  #count(schema: JsonObject, value: unknown): number {
    const next = this.#next.get(schema) ?? onSameValue(schema, this.#root);
    this.#next.set(schema, next);
    const { enum: values, uniqueItems, format } = schema;
    let cost = 1 + (Array.isArray(values) ? values.length : 0);
    if (typeof value === "string" && format !== undefined) cost += value.length / 100;
    for (const one of next) {
      cost += this.of(one, value);
      if (cost > mostSteps) return cost;
    }
    // What is checked against several schemas at once is put together again from what each made of it.
    const merges = Array.isArray(schema["allOf"]) ? schema["allOf"].length : 0;
    const meets = schema["type"] !== undefined && (schema["anyOf"] || schema["oneOf"]) ? 1 : 0;
    if (merges + meets > 0) cost += (merges + meets) * this.#sizeOf(value);
    if (uniqueItems === true) cost += this.#sizeOf(value);
    if (Array.isArray(value)) return cost + this.#items(schema, value);
    return isJsonObject(value) ? cost + this.#properties(schema, value) : cost;
  }

  #items({ items, prefixItems, additionalItems, contains }: JsonObject, value: readonly unknown[]): number {
    const first: unknown[] = Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : [];
    const rest: unknown = Array.isArray(items) ? additionalItems : items;
    let cost = first.length;
    for (const [i, item] of value.entries()) {
      cost += this.of(i < first.length ? first[i] : rest, item);
      if (contains !== undefined) cost += this.of(contains, item);
      if (cost > mostSteps) break;
    }
    return cost;
  }

  #properties(schema: JsonObject, value: JsonObject): number {
    const { properties, additionalProperties, propertyNames } = schema;
    const named: JsonObject = isJsonObject(properties) ? properties : {};
    let cost = Object.keys(named).length;
    for (const [name, inner] of Object.entries(value)) {
      cost += this.of(Object.hasOwn(named, name) ? named[name] : additionalProperties, inner);
      if (propertyNames !== undefined) cost += this.of(propertyNames, name);
      if (cost > mostSteps) break;
    }
    return cost;
  }

  #sizeOf(value: unknown): number {
    if (typeof value !== "object" || value === null) return 1;
    let size = this.#sizes.get(value);
    if (size === undefined) {
      size = Object.values(value).reduce<number>((sum, inner) => sum + this.#sizeOf(inner), 1);
      this.#sizes.set(value, size);
    }
    return size;
  }
}
