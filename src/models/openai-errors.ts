import { ModelError } from "../errors.ts";
import {
  asSentence,
  isRetryableStatus,
  networkCode,
  presentable,
  retryAfterSeconds,
} from "./provider-failure.ts";

/** The error in an answer of OpenAI. */
export interface OpenAIErrorBody {
  code?: string | number | null;
  type?: string | null;
  message?: string | null;
}

/** What an error message may name of the model that failed. */
export interface OpenAIEndpoint {
  /** Where requests go, without credentials. */
  url: string;
  /** Never shown: it is looked for in messages and taken out. */
  apiKey: string;
  /** Seconds without a byte. */
  timeout: number;
}

const quota = "insufficient_quota";
const passing = new Set(["server_error", "rate_limit_exceeded", "server_is_overloaded", "slow_down"]);

/**
 * An answer with an HTTP status that is no success.
 *
 * @param status - the HTTP status
 * @param headers - names in lower case
 * @param body - what stood in the answer, JSON or not
 */
export function refusedRequest(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: string,
  endpoint: OpenAIEndpoint,
): ModelError {
  const error = errorIn(body);
  const said = presentable(error?.message ?? plainText(body), endpoint.apiKey);
  const message = `OpenAI answered ${status}${said ? `: ${asSentence(said)}` : "."}`;
  const advice = adviceFor(status, error);
  const after = retryAfterSeconds(headers);
  return new ModelError(advice ? `${message} ${advice}` : message, {
    providerStatus: status,
    retryable: isRetryableStatus(status) && error?.code !== quota,
    ...(after !== undefined && { retryAfter: after }),
  });
}

function adviceFor(status: number, error: OpenAIErrorBody | undefined): string | undefined {
  if (status === 401) return "Check OPENAI_API_KEY.";
  if (status === 403) return "Check that the key of OPENAI_API_KEY may use this model.";
  if (status === 404) return "Check the model's id and OPENAI_BASE_URL.";
  if (status < 400) return "Check OPENAI_BASE_URL: redirects are not followed.";
  if (error?.code === quota) return "Check the plan and the billing of the account.";
  return undefined;
}

function errorIn(body: string): OpenAIErrorBody | undefined {
  try {
    const { error, message } = JSON.parse(body) as { error?: OpenAIErrorBody | string; message?: string };
    if (typeof error === "string") return { message: error };
    return error ?? (typeof message === "string" ? { message } : undefined);
  } catch {
    return undefined;
  }
}

/** A page of a proxy tells a reader less than the status alone. */
function plainText(body: string): string {
  return body.trimStart().startsWith("<") || body.trimStart().startsWith("{") ? "" : body.slice(0, 300);
}

/**
 * An answer that began well and then told of its failure.
 *
 * @param error - what stood in the event
 */
export function failedResponse(error: OpenAIErrorBody | undefined): ModelError {
  const said = presentable(error?.message ?? "it gave no reason");
  const code = error?.code ?? error?.type;
  return new ModelError(`OpenAI could not answer: ${asSentence(said)}`, {
    // Without a reason nothing speaks against another try.
    retryable: error?.message == null || (typeof code === "string" && passing.has(code)),
  });
}

/** A stream that ended before the answer did. */
export function lostConnection(cause?: unknown): ModelError {
  return new ModelError("The connection to OpenAI was lost before the answer was complete.", {
    retryable: true,
    cause,
  });
}

/**
 * What undici threw, as an error for whoever runs the agent.
 *
 * @param error - what was caught
 * @param begun - whether the answer had begun
 */
export function brokenRequest(error: unknown, begun: boolean, endpoint: OpenAIEndpoint): ModelError {
  if (error instanceof ModelError) return error;
  if (error instanceof SyntaxError)
    return new ModelError("OpenAI answered something that is not JSON. Check OPENAI_BASE_URL.", {
      cause: error,
    });
  const code = networkCode(error);
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT")
    return new ModelError(`OpenAI sent nothing for ${endpoint.timeout} s. The limit is the option timeout.`, {
      retryable: true,
      cause: error,
    });
  if (code === "UND_ERR_CLOSED" || code === "UND_ERR_DESTROYED")
    return new ModelError("This model was closed. Make a new one to go on.", { cause: error });
  if (code === "UND_ERR_INVALID_ARG")
    return new ModelError("The request to OpenAI could not be sent. Check the option headers.", {
      cause: error,
    });
  if (begun || code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE")
    return lostConnection(error);
  return new ModelError(
    `OpenAI could not be reached at ${endpoint.url}${code ? ` (${code})` : ""}. Check the network and OPENAI_BASE_URL.`,
    { retryable: true, cause: error },
  );
}
