import type { ErrorDetail } from "../errors.ts";

/** Every error that the client throws on purpose, but for that of an abort, which is the signal's reason. */
export abstract class ClientError extends Error {
  /** A stable name for the kind of error. */
  abstract readonly code: string;
}

/** What the client was given cannot work: an option, or an id that no URL can hold. Nothing was sent. */
export class ClientOptionError extends ClientError {
  override readonly name = "ClientOptionError";
  readonly code = "client_option";
}

/**
 * The server answered, and its answer is an error.
 *
 * @example
 * try {
 *   await client.sessions.get("thread-42");
 * } catch (error) {
 *   if (error instanceof ApiError && error.status === 404) startAnew();
 *   else throw error;
 * }
 */
export class ApiError extends ClientError {
  override readonly name = "ApiError";
  readonly code = "api";
  /** The HTTP status. */
  readonly status: number;
  /** What was wrong: a text, or one entry a field that was wrong. */
  readonly detail: string | readonly ErrorDetail[];
  /** Finds the request in the server's log. Absent where something before the server answered, such as a proxy. */
  readonly requestId: string | undefined;
  /** Seconds after which the server asks to be tried again. */
  readonly retryAfter: number | undefined;

  constructor(
    status: number,
    detail: string | readonly ErrorDetail[],
    more: { requestId?: string | undefined; retryAfter?: number | undefined } = {},
  ) {
    super(`${status}: ${typeof detail === "string" ? detail : detail.map(sentence).join("; ")}`);
    this.status = status;
    this.detail = detail;
    this.requestId = more.requestId;
    this.retryAfter = more.retryAfter;
  }
}

function sentence({ loc, msg }: ErrorDetail): string {
  return `${loc.join(".")}: ${msg}`;
}

/** No answer came, or not all of it, and trying again did not help. `cause` has what the runtime said. */
export class ConnectionError extends ClientError {
  override readonly name = "ConnectionError";
  readonly code = "connection";
}

/** The function that gives the token failed; `cause` is what it threw. */
export class TokenError extends ClientError {
  override readonly name = "TokenError";
  readonly code = "token";
}

/** A stream cannot go on: the server says why, such as that the run's events are no longer kept; or it sent no events. */
export class StreamError extends ClientError {
  override readonly name = "StreamError";
  readonly code = "stream";
  readonly runId: string | undefined;
  /** The server's name for the kind of error, such as `log_gone`; undefined where the server did not say it. */
  readonly errorType: string | undefined;

  constructor(message: string, from: { run_id?: string; error_type?: string } = {}) {
    super(message);
    this.runId = from.run_id;
    this.errorType = from.error_type;
  }
}

/** Events of a run are missing: what was read so far and what came next do not join. */
export class StreamGapError extends ClientError {
  override readonly name = "StreamGapError";
  readonly code = "stream_gap";
  readonly runId: string;
  /** The index that should have come. */
  readonly expected: number;
  /** The index that came. */
  readonly received: number;

  constructor(runId: string, expected: number, received: number) {
    super(
      `Events of the run ${runId} are missing: the event ${expected} was to come next, and ${received} came.`,
    );
    this.runId = runId;
    this.expected = expected;
    this.received = received;
  }
}
