import type { OpenAPIHono, RouteConfig, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { InvalidRequestError } from "../errors.ts";
import { isJsonObject } from "../events/json.ts";
import { readJson } from "./body.ts";
import { fromZod } from "./errors.ts";
import type { Served } from "./served.ts";

/**
 * Reads the fields of a JSON body.
 *
 * @throws {InvalidRequestError} that names every field that is wrong
 */
export async function jsonBody<T extends z.ZodType>(
  c: Context,
  { limits }: Pick<Served, "limits">,
  schema: T,
): Promise<z.output<T>> {
  const input = await readJson(c, limits);
  if (!isJsonObject(input)) {
    throw InvalidRequestError.field(["body"], "Input should be a JSON object", { input });
  }
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw fromZod(parsed.error, "body", input, "object");
  return parsed.data;
}

/**
 * A route with a JSON body. The OpenAPI document tells the body; it is read by hand, with {@link jsonBody}, for the limit
 * must hold before it is.
 *
 * @returns the route as it is served
 */
export function withJsonBody<R extends RouteConfig>(app: OpenAPIHono, route: R, body: z.ZodType): R {
  app.openAPIRegistry.registerPath({
    ...route,
    request: {
      ...route.request,
      body: { required: true, content: { "application/json": { schema: body } } },
    },
  });
  return { ...route, hide: true };
}
