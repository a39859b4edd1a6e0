import { APICallError } from "@ai-sdk/provider";
import { ModelError } from "../errors.ts";
import { isJsonObject } from "../events/json.ts";
import { asSentence, networkCode, presentable, retryAfterSeconds } from "./provider-failure.ts";

const lost = new Set([
  "UND_ERR_SOCKET",
  "ECONNRESET",
  "EPIPE",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
]);

/**
 * What an AI SDK model threw or sent as an error, as an error for whoever runs the agent.
 *
 * @param error - what was caught
 * @param provider - the provider's name
 */
export function aiSdkError(error: unknown, provider: string): ModelError {
  if (error instanceof ModelError) return error;
  // An answer that begins with 200 and breaks off is an APICallError as well.
  const isRefusal = APICallError.isInstance(error) && !isSuccess(error.statusCode);
  if (isRefusal) return refused(error, provider);
  if (isLostConnection(error))
    return new ModelError(`The connection to ${provider} was lost before the answer was complete.`, {
      retryable: true,
      cause: error,
    });
  return new ModelError(`${provider} could not answer: ${reason(error)}`, { cause: error });
}

function refused(error: APICallError, provider: string): ModelError {
  const { statusCode, isRetryable } = error;
  const quota = isJsonObject(error.data) && error.data.error?.code === "insufficient_quota";
  const after = retryAfterSeconds(error.responseHeaders ?? {});
  const what = statusCode === undefined ? "could not be reached" : `answered ${statusCode}`;
  const advice = statusCode === 401 || statusCode === 403 ? " Check the provider's API key." : "";
  return new ModelError(`${provider} ${what}: ${reason(error)}${advice}`, {
    ...(statusCode !== undefined && { providerStatus: statusCode }),
    ...(after !== undefined && { retryAfter: after }),
    retryable: isRetryable && !quota,
    cause: error,
  });
}

function isSuccess(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

/** Fetch throws a TypeError that says no more than "terminated" when a body ends too early. */
function isLostConnection(error: unknown): boolean {
  const code = networkCode(error);
  if (code !== undefined && lost.has(code)) return true;
  return error instanceof TypeError && (error.message === "terminated" || error.message === "fetch failed");
}

/** Errors inside a stream are whatever the provider sent there: an object, a text, an error. */
function reason(error: unknown): string {
  let said: unknown = error;
  if (isJsonObject(said) && isJsonObject(said.error)) said = said.error;
  if (isJsonObject(said)) said = said.message;
  return asSentence(presentable(typeof said === "string" && said ? said : "it gave no reason"));
}
