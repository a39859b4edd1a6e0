import { isWaiting, type Requirement } from "./events/requirements.ts";
import type { Run } from "./events/run.ts";

/** One fault in what a caller sent: where it is and what is wrong with it. The shape is that of the wire's 422. */
export interface ErrorDetail {
  /** A short name for the kind of fault, such as `missing` or `extra_forbidden`. */
  type: string;
  /** The part of the request, then the field: `["body", "message"]`. */
  loc: (string | number)[];
  msg: string;
  input?: unknown;
}

/**
 * Every error that this package throws on purpose. Catch by class, or by `code` where a class is out of reach.
 * Its message is written for whoever gets it: over HTTP it is the answer's `detail`.
 */
export abstract class AgentOSError extends Error {
  /** A stable name for the kind of error. */
  abstract readonly code: string;
  /** The HTTP status that it is answered with. */
  abstract readonly status: number;
  override get name(): string {
    return this.constructor.name;
  }
}

/**
 * An option or setting that cannot work. Thrown when something is constructed or started.
 * One that nobody catches ends the process with its message as one line, without a stack.
 */
export class ConfigurationError extends AgentOSError {
  readonly code: string = "configuration";
  readonly status = 500;
  static #isLastWord = false;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    ConfigurationError.#becomeLastWord();
  }

  /** What is wrong is the user's to change, and a stack would hide it. Every other error is left to Node. */
  static #becomeLastWord(): void {
    if (ConfigurationError.#isLastWord || typeof process === "undefined") return;
    ConfigurationError.#isLastWord = true;
    process.on("uncaughtExceptionMonitor", (error) => {
      if (!(error instanceof ConfigurationError) || process.listenerCount("uncaughtException") > 0) return;
      process.stderr.write(`agentos: ${error.message.replaceAll(/\s*\n\s*/g, " ")}\n`);
      process.exit(1);
    });
  }
}

/** The database that is set up cannot be opened, or its tables not brought up to date. */
export class DatabaseOpenError extends ConfigurationError {
  override readonly code: string = "database_open";
}

/** A request whose fields are wrong. Nothing was changed. */
export class InvalidRequestError extends AgentOSError {
  readonly code = "invalid_request";
  readonly status: number;
  /** The single faults, where they can be told apart. */
  readonly details: readonly ErrorDetail[] | undefined;

  constructor(message: string, options: { details?: readonly ErrorDetail[]; status?: 400 | 422 } = {}) {
    super(message);
    this.details = options.details;
    this.status = options.status ?? (options.details ? 422 : 400);
  }

  /** One wrong field. */
  static field(
    loc: (string | number)[],
    msg: string,
    options: { type?: string; input?: unknown } = {},
  ): InvalidRequestError {
    const detail: ErrorDetail = { type: options.type ?? "value_error", loc, msg };
    if ("input" in options) detail.input = options.input;
    return new InvalidRequestError(`${loc.join(".")}: ${msg}`, { details: [detail] });
  }
}

/**
 * The caller did not say who it is, or not so that it can be believed.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3
 */
export class UnauthorizedError extends AgentOSError {
  readonly code = "unauthorized";
  readonly status = 401;
  /** The header `WWW-Authenticate`: what to send instead. */
  readonly challenge: string;

  /** @param options - `missing`: there was no token at all, which is no fault of a token */
  constructor(message: string, options: { missing?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    const fault = options.missing
      ? ""
      : `, error="invalid_token", error_description="${message.replace(/[^ !#-[\]-~]/g, "'")}"`;
    this.challenge = `Bearer realm="agentos"${fault}`;
  }
}

/** The caller is known, and may not do this. */
export class ForbiddenError extends AgentOSError {
  readonly code = "forbidden";
  readonly status = 403;
  /** Scopes of which one would have been enough; none where it is not a matter of scopes. */
  readonly scopes: readonly string[];

  constructor(message: string, scopes: readonly string[] = []) {
    super(message);
    this.scopes = scopes;
  }
}

/** The caller does too much at once, or too often. */
export class TooManyRequestsError extends AgentOSError {
  readonly code = "too_many_requests";
  readonly status = 429;
  /** Seconds after which to try again. */
  readonly retryAfter: number;

  constructor(message: string, retryAfter: number) {
    super(message);
    this.retryAfter = Math.max(1, Math.ceil(retryAfter));
  }
}

/** What was asked for is not there, or not for this caller: the two are not told apart. */
export class NotFoundError extends AgentOSError {
  readonly code = "not_found";
  readonly status = 404;
}

/** What was asked for does not fit how things stand: the id is taken, or a run is under way. Nothing was changed. */
export class ConflictError extends AgentOSError {
  readonly code = "conflict";
  readonly status = 409;
}

/** So many background runs wait that no more are taken. Nothing was written. */
export class QueueFullError extends AgentOSError {
  readonly code = "queue_full";
  readonly status = 429;
  /** Seconds after which to try again. */
  readonly retryAfter = 5;

  /** @param limit - which one is reached */
  constructor(limit: "total" | "user" | "session") {
    const whose = { total: "", user: " of this user", session: " of this session" }[limit];
    super(`Too many background runs${whose} are waiting already. Try again when some have begun.`);
  }
}

/** The path is known, the method is not. */
export class MethodNotAllowedError extends AgentOSError {
  readonly code = "method_not_allowed";
  readonly status = 405;
  /** Methods that the path takes. */
  readonly allowed: readonly string[];

  constructor(method: string, allowed: readonly string[]) {
    super(`${method} is not allowed here. Allowed: ${allowed.join(", ")}.`);
    this.allowed = allowed;
  }
}

/** The body is larger than this server takes. */
export class PayloadTooLargeError extends AgentOSError {
  readonly code = "payload_too_large";
  readonly status = 413;
}

/** The body is of a type that this endpoint does not take. */
export class UnsupportedMediaTypeError extends AgentOSError {
  readonly code = "unsupported_media_type";
  readonly status = 415;
}

/** The server cannot do this now, but will again: it stops, or its database is away. */
export class UnavailableError extends AgentOSError {
  readonly code: string = "unavailable";
  readonly status = 503;
  /** Seconds after which to try again. */
  readonly retryAfter: number;

  constructor(message: string, options: { retryAfter?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.retryAfter = options.retryAfter ?? 5;
  }
}

/** The database does not answer. */
export class DatabaseUnavailableError extends UnavailableError {
  override readonly code: string = "database_unavailable";
}

/** This process could not show in time that it lives, so another one may have its runs by now. */
export class LeaseLostError extends UnavailableError {
  override readonly code: string = "lease_lost";
  constructor() {
    super(
      "This server lost touch with its database, and another one may be at its runs by now. Resume the stream, or send the " +
        "request again with the same Idempotency-Key.",
      { retryAfter: 1 },
    );
  }
}

/** A run that has failed. `RunError` carries the same message and code. */
export abstract class RunFailedError extends AgentOSError {
  readonly status: number = 500;
}

/** The model's provider refused or failed, after all retries. */
export class ModelError extends RunFailedError {
  readonly code = "model_error";
  /** The provider's HTTP status, where there was an answer. */
  readonly providerStatus: number | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Seconds after which the provider asks to be tried again. */
  readonly retryAfter: number | undefined;

  constructor(
    message: string,
    options: { providerStatus?: number; retryable?: boolean; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.providerStatus = options.providerStatus;
    this.retryable = options.retryable ?? false;
    this.retryAfter = options.retryAfter;
  }
}

/** The model's answer does not fit the output schema. */
export class OutputSchemaError extends RunFailedError {
  readonly code = "output_schema_error";
}

/** The run took longer than it may. */
export class RunTimeoutError extends RunFailedError {
  readonly code = "run_timeout";
  constructor(seconds: number) {
    super(`The run took longer than its limit of ${seconds} s and was ended.`);
  }
}

/** The server stopped before the run ended. */
export class ServerStoppedError extends RunFailedError {
  readonly code = "server_stopped";
  constructor() {
    super("The server stopped before the run ended. Send the message again.");
  }
}

/** The run cannot be done as it was asked for, and that is nobody's bad luck. */
export class RunFaultError extends RunFailedError {
  readonly code = "run_fault";
}

/** This process gives a run back, for another one to go on with. */
export class RunReleasedError extends RunFailedError {
  readonly code = "run_released";
  override readonly status = 503;
  constructor() {
    super("This server stops; another one goes on with the run. Resume its stream.");
  }
}

/** The run's server was lost again and again while it was at this run. */
export class CrashedTooOftenError extends RunFailedError {
  readonly code = "crashed_too_often";
  constructor(times: number) {
    super(
      `The server that ran it was lost ${times} times at the same point. The run is not tried again: look at what it does there.`,
    );
  }
}

/** The run's row was deleted, or another node took the run over: this process may not go on with it. */
export class RunLostError extends RunFailedError {
  readonly code = "run_lost";
  override readonly status = 409;
  constructor(runId: string) {
    super(`The run ${runId} is no longer this server's: it was deleted or taken over.`);
  }
}

/** What a reader has yet to read of a run's log is not there any more. */
export class LogGoneError extends AgentOSError {
  readonly code = "log_gone";
  readonly status = 410;
  readonly runId: string;

  /** @param why - `deleted`: the run itself; `swept`: its events, because they were old */
  constructor(runId: string, why: "deleted" | "swept") {
    super(
      why === "deleted"
        ? `The run ${runId} was deleted: there is nothing to follow any more.`
        : `The events of the run ${runId} are no longer kept. What came of it is in the run itself: read that.`,
    );
    this.runId = runId;
  }
}

/** The run was cancelled on purpose. It is the reason of the abort signal that tools get. */
export class RunCancelledError extends RunFailedError {
  readonly code = "run_cancelled";
  constructor(message = "The run was cancelled.") {
    super(message);
  }
}

/** What `agent.run()` throws for a run that did not complete. The run is stored all the same. */
export class RunNotCompletedError extends RunFailedError {
  readonly code: string;
  /** The run as it is stored: its status, what was said, its messages. */
  readonly run: Run;

  constructor(run: Run) {
    super(run.status === "cancelled" ? `The run ${run.run_id} was cancelled.` : String(run.content));
    this.code = run.status === "cancelled" ? "run_cancelled" : (run.error_type ?? "run_failed");
    this.run = run;
  }
}

/**
 * What `agent.run()` throws for a run that waits for people: it is stored, and `agent.continue()` goes on with it, also
 * days later or in another process.
 */
export class RunPausedError extends AgentOSError {
  readonly code = "run_paused";
  readonly status = 409;
  /** The run as it is stored. */
  readonly run: Run;

  constructor(run: Run) {
    const calls = run.tools.filter(isWaiting).map(({ tool_name }) => tool_name);
    super(`The run ${run.run_id} waits for people: ${calls.join(", ")}. Continue it with their decisions.`);
    this.run = run;
  }

  /** What it waits for. */
  get requirements(): Requirement[] {
    return this.run.requirements.filter(({ tool_execution }) => isWaiting(tool_execution));
  }
}
