import type { Context } from "hono";
import type * as z from "zod";
import { InvalidRequestError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../events/json.ts";
import { type BodyLimits, readBody } from "./body.ts";
import { fromZod } from "./errors.ts";

/**
 * Fields of a request that may stand in its query, in a form, or in JSON; a body wins. No body at all is fine.
 *
 * @param more - fields from elsewhere, such as a header; these win over the query and the body
 * @throws {InvalidRequestError} that names every field that is wrong
 */
export async function looseFields<TSchema extends z.ZodType>(
  c: Context,
  schema: TSchema,
  limits: BodyLimits,
  more: JsonObject = {},
): Promise<z.output<TSchema>> {
  const inBody = c.req.method === "GET" || c.req.method === "HEAD" ? undefined : await bodyFields(c, limits);
  const input = { ...c.req.query(), ...inBody, ...more };
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw fromZod(parsed.error, inBody ? "body" : "query", input);
}

async function bodyFields(c: Context, limits: BodyLimits): Promise<JsonObject | undefined> {
  if (!hasBody(c)) return undefined;
  const body = await readBody(c, limits);
  if (body.kind === "form") return Object.fromEntries(body.fields);
  if (!isJsonObject(body.value)) {
    throw InvalidRequestError.field(["body"], "Input should be a JSON object", { input: body.value });
  }
  return body.value;
}

/** Whether a request brings a body at all. */
export function hasBody(c: Context): boolean {
  const length = c.req.header("content-length");
  return (length !== undefined && length !== "0") || c.req.header("transfer-encoding") !== undefined;
}
