import type { createRoute, z } from "@hono/zod-openapi";
import { errorSchema } from "./schemas.ts";

type Responses = Parameters<typeof createRoute>[0]["responses"];

/** What each status of an error means, the same on every route. */
const errors = {
  400: "The request makes no sense as it is.",
  401: "There is no token, or none that is good. `WWW-Authenticate` says what is wanted.",
  403: "The caller may not do this; `detail` names the scope that is missing.",
  404: "Not there, or not for this caller.",
  409: "It does not fit how things stand: the id is taken, or a run is under way.",
  413: "The body is larger than the limit.",
  415: "The body is of a type that is not taken.",
  422: "A field is wrong; `detail` names it.",
  429: "Too much is asked for now. `Retry-After` tells when to try again.",
  503: "The server stops, or its database is away. `Retry-After` tells when to try again.",
} as const;

/** The errors of a route, for its OpenAPI description. */
export function errorResponses(...statuses: (keyof typeof errors)[]): Responses {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      { description: errors[status], content: { "application/json": { schema: errorSchema } } },
    ]),
  );
}

/** A JSON answer with its errors, for a route's OpenAPI description. */
export function jsonResponse(
  description: string,
  schema: z.ZodType,
  ...statuses: (keyof typeof errors)[]
): Responses {
  return {
    200: { description, content: { "application/json": { schema } } },
    ...errorResponses(...statuses),
  };
}

/** A 201 with its errors, for a route's OpenAPI description. */
export function createdResponse(
  description: string,
  schema: z.ZodType,
  ...statuses: (keyof typeof errors)[]
): Responses {
  return {
    201: { description, content: { "application/json": { schema } } },
    ...errorResponses(...statuses),
  };
}
