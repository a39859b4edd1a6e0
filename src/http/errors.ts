import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Logger } from "pino";
import type * as z from "zod";
import {
  AgentOSError,
  ConfigurationError,
  DatabaseOpenError,
  DatabaseUnavailableError,
  type ErrorDetail,
  ForbiddenError,
  InvalidRequestError,
  MethodNotAllowedError,
  QueueFullError,
  TooManyRequestsError,
  UnauthorizedError,
  UnavailableError,
} from "../errors.ts";
import { newId } from "../events/ids.ts";

/**
 * The one place where an error becomes an answer. What this package throws on purpose says so itself; of anything else the
 * caller learns a request id, and the log the rest.
 */
export function answerError(thrown: unknown, c: Context, logger: Logger): Response {
  // An app that nobody called `serve` of opens the database with its first request. Where it is, is not the caller's
  // business.
  const error =
    thrown instanceof DatabaseOpenError
      ? new DatabaseUnavailableError("The database cannot be opened. Try again.", { cause: thrown })
      : thrown;
  if (error instanceof HTTPException) return ofCustomRoute(error, c);
  const requestId = newId();
  c.header("x-request-id", requestId);
  // A custom route that makes something of options that cannot work is broken, and how is not the caller's business.
  if (!(error instanceof AgentOSError) || error instanceof ConfigurationError) {
    logger.error(
      { err: error, request_id: requestId, method: c.req.method, path: c.req.path },
      "request failed",
    );
    return c.json({ detail: "Internal server error", request_id: requestId }, 500);
  }
  if (error.status >= 500)
    logger.warn({ err: error, request_id: requestId, path: c.req.path }, "request refused");
  if (
    error instanceof UnavailableError ||
    error instanceof QueueFullError ||
    error instanceof TooManyRequestsError
  ) {
    c.header("Retry-After", String(error.retryAfter));
  }
  if (error instanceof UnauthorizedError) c.header("WWW-Authenticate", error.challenge);
  if (error instanceof ForbiddenError && error.scopes.length > 0) {
    const scopes = error.scopes.join(" ");
    c.header("WWW-Authenticate", `Bearer realm="agentos", error="insufficient_scope", scope="${scopes}"`);
  }
  if (error instanceof MethodNotAllowedError) c.header("Allow", error.allowed.join(", "));
  const detail = (error instanceof InvalidRequestError && error.details) || error.message;
  return c.json({ detail, request_id: requestId }, error.status as ContentfulStatusCode);
}

/** What a custom route throws is answered as it says, in our shape unless it brought its own response. */
function ofCustomRoute(error: HTTPException, c: Context): Response {
  if (error.res) return error.getResponse();
  const requestId = newId();
  c.header("x-request-id", requestId);
  return c.json({ detail: error.message, request_id: requestId }, error.status);
}

/** Characters of a wrong text that are sent back. */
const longestTold = 1000;

/** Faults that are told at once: an answer must not grow with what is wrong. */
const mostTold = 50;

/**
 * A zod error as the wire's 422: one entry a fault, each with the place and the input.
 *
 * @param ofMissing - what stands as the input of a field that is missing: the object that lacks it, as JSON bodies of the
 *   original have it, or null, as its forms have it
 */
export function fromZod(
  error: z.ZodError,
  part: "body" | "query" | "path",
  input: unknown,
  ofMissing: "null" | "object" = "null",
): InvalidRequestError {
  const details = error.issues.flatMap((issue): ErrorDetail[] => {
    const path = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        type: "extra_forbidden",
        loc: [part, ...path, key],
        msg: "Extra inputs are not permitted",
        input: brief(valueAt(input, [...path, key])),
      }));
    }
    const given = valueAt(input, path);
    if (given === undefined) {
      const lacking = ofMissing === "null" ? null : valueAt(input, path.slice(0, -1));
      return [{ type: "missing", loc: [part, ...path], msg: "Field required", input: lacking }];
    }
    return [{ type: issue.code, loc: [part, ...path], msg: issue.message, input: brief(given) }];
  });
  const told = details.slice(0, mostTold);
  const where = told.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; ");
  return new InvalidRequestError(where, { details: told });
}

/** Long texts are told by how they begin. */
function brief(value: unknown): unknown {
  return typeof value === "string" && value.length > longestTold ? `${value.slice(0, longestTold)}…` : value;
}

function valueAt(input: unknown, path: readonly (string | number)[]): unknown {
  let value = input;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
