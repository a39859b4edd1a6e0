import { z } from "@hono/zod-openapi";
import { type TraceExpression, type TraceField, type TraceOperator, traceFields } from "../db/traces.ts";
import { InvalidRequestError } from "../errors.ts";
import { isJsonObject } from "../events/json.ts";
import { optionalIdentifier } from "./identifiers.ts";

/** How deep a filter may be, and how many comparisons it may hold. */
const deepest = 10;
const mostConditions = 100;
const mostValues = 1000;
const longestValue = 1000;

const operators = {
  enum: ["EQ", "NEQ", "IN"],
  string: ["EQ", "NEQ", "CONTAINS", "STARTSWITH", "IN"],
  number: ["EQ", "NEQ", "GT", "GTE", "LT", "LTE", "IN"],
  datetime: ["EQ", "NEQ", "GT", "GTE", "LT", "LTE"],
} as const;

const allOperators = new Set<string>([...Object.values(operators).flat(), "AND", "OR", "NOT"]);

/** An ISO 8601 time with its zone; without one it counts as UTC. */
const isoPattern = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;

/** A time that is written out, as Unix milliseconds; undefined where it is none. */
export function timeOf(text: string): number | undefined {
  if (!isoPattern.test(text)) return undefined;
  const withZone = text.length === 10 || /(?:Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text}Z`;
  const time = Date.parse(withZone);
  return Number.isNaN(time) ? undefined : time;
}

const time = z
  .string()
  .transform((text, context) => {
    const parsed = text === "" ? undefined : timeOf(text);
    if (text !== "" && parsed === undefined) {
      context.addIssue({ code: "custom", message: "Not a time: write 2026-11-24T05:07:46Z" });
      return z.NEVER;
    }
    return parsed;
  })
  .optional()
  .openapi({ type: "string", format: "date-time" });

const noSuch = (what: string) =>
  optionalIdentifier.openapi({ description: `There are no ${what}: a list of one is empty.` });

/** What a list of traces may be asked for, beside its page. */
export const traceListQuery = {
  session_id: optionalIdentifier,
  user_id: optionalIdentifier,
  agent_id: optionalIdentifier,
  team_id: noSuch("teams"),
  workflow_id: noSuch("workflows"),
  start_time: time.openapi({ description: "Those that began then or later." }),
  end_time: time.openapi({ description: "Those that ended then or before." }),
};

/** A trace's status, in upper or lower case. */
export const traceStatus = z
  .union([
    z.literal("").transform(() => undefined),
    z
      .string()
      .toUpperCase()
      .pipe(z.enum(["OK", "ERROR"])),
  ])
  .optional()
  .openapi({ type: "string", enum: ["OK", "ERROR"] });

/** The body of a search. */
export const traceSearchBody = z
  .strictObject({
    filter: z
      .custom<object>(isJsonObject, "Input should be a JSON object")
      .nullish()
      .openapi({ type: "object", additionalProperties: {} }),
    group_by: z.enum(["run", "session"]).default("run"),
    page: z.int().min(1).max(1_000_000).default(1),
    limit: z.int().min(1).max(100).default(20),
  })
  .openapi("TraceSearch", {
    example: {
      filter: {
        op: "AND",
        conditions: [
          { op: "EQ", key: "status", value: "ERROR" },
          { op: "GT", key: "duration_ms", value: 2000 },
        ],
      },
      group_by: "run",
      page: 1,
      limit: 20,
    },
  });

/** What a filter bar can be built of. */
export function filterSchema() {
  return {
    fields: Object.entries(traceFields).map(([key, field]) => ({
      key,
      label: field.label,
      type: field.type,
      operators: operators[field.type],
      values: "values" in field ? field.values : null,
    })),
    logical_operators: ["AND", "OR", "NOT"],
  };
}

/** @throws {InvalidRequestError} with status 400 that says what of a filter makes no sense */
export function readFilter(filter: object): TraceExpression {
  let conditions = 0;

  const read = (node: unknown, depth: number): TraceExpression => {
    if (depth > deepest) throw refused(`It is nested deeper than ${deepest} levels`);
    if (!isJsonObject(node)) throw refused("A condition must be an object with op");
    const { op } = node;
    if (typeof op !== "string" || !allOperators.has(op))
      throw refused(`Unknown filter operator: ${show(op)}`);
    if (op === "AND" || op === "OR") {
      if (!Array.isArray(node["conditions"]) || node["conditions"].length === 0) {
        throw refused(`${op} needs conditions, a list of at least one`);
      }
      return { op, conditions: node["conditions"].map((one) => read(one, depth + 1)) };
    }
    if (op === "NOT") return { op, condition: read(node["condition"], depth + 1) };
    if (++conditions > mostConditions) throw refused(`It has more than ${mostConditions} comparisons`);
    const { key } = node;
    if (typeof key !== "string" || !Object.hasOwn(traceFields, key)) {
      throw refused(`Unknown filter field: ${show(key)}. Known: ${Object.keys(traceFields).join(", ")}`);
    }
    const field = key as TraceField;
    const known: readonly string[] = operators[traceFields[field].type];
    if (!known.includes(op)) throw refused(`${key} takes ${known.join(", ")}, not ${op}`);
    if (op === "IN") {
      const { values } = node;
      if (!Array.isArray(values) || values.length > mostValues) {
        throw refused(`IN needs values, a list of at most ${mostValues}`);
      }
      return { op, key: field, values: values.map((value) => readValue(field, value)) };
    }
    return { op: op as TraceOperator, key: field, value: readValue(field, node["value"]) };
  };

  return read(filter, 1);
}

function readValue(key: TraceField, value: unknown): string | number {
  const { type } = traceFields[key];
  if (type === "number") {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw refused(`${key} is compared with a number, not ${show(value)}`);
  }
  if (typeof value !== "string" || value.length > longestValue || /\u0000/.test(value)) {
    throw refused(`${key} is compared with a text, not ${show(value)}`);
  }
  if (type === "datetime") {
    const parsed = timeOf(value);
    if (parsed === undefined) throw refused(`${key} is compared with a time, not ${show(value)}`);
    return parsed;
  }
  return type === "enum" ? value.toUpperCase() : value.toWellFormed();
}

function refused(reason: string): InvalidRequestError {
  return new InvalidRequestError(`Invalid filter expression: ${reason}`);
}

function show(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
