import type { ErrorDetail } from "../errors.ts";
import { delayOf, pause } from "./backoff.ts";
import { ApiError, ClientOptionError, ConnectionError } from "./errors.ts";
import type { Settings } from "./options.ts";
import type { Token } from "./token.ts";
import { type Fields, queryOf } from "./wire-names.ts";

/** A request to the server. */
export interface ApiRequest {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Its parts, of which none may be read as more than one: `["agents", agentId]`. */
  path: readonly string[];
  /** Named as options are. */
  query?: Fields | undefined;
  /** Sent as JSON, unless it is a form. */
  body?: object | FormData | undefined;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
  /** Whether doing it twice is doing it once. Where it is not, a request whose answer was lost is not sent again. */
  repeatable?: boolean;
}

/** Sends requests: with the token, again where that is safe, and with errors made of what came back. */
export class Transport {
  readonly settings: Settings;
  readonly token: Token;

  constructor(settings: Settings, token: Token) {
    this.settings = settings;
    this.token = token;
  }

  /** The JSON that is answered. */
  json<T>(request: ApiRequest): Promise<T> {
    return this.send(request, (response) => response.json() as Promise<T>);
  }

  /** For answers that say nothing but that it is done. */
  async done(request: ApiRequest): Promise<void> {
    await this.send(request, (response) => response.arrayBuffer());
  }

  /**
   * Sends a request, and again where that is safe and may help.
   *
   * @param read - reads the answer: what is cut off while it is read is tried again too
   * @throws {ApiError} when the answer is an error
   * @throws {ConnectionError} when there is none
   */
  async send<T>(request: ApiRequest, read: (response: Response) => Promise<T>): Promise<T> {
    const { retries, retryDelay, maxRetryDelay } = this.settings;
    const isRepeatable = request.repeatable ?? request.method !== "POST";
    for (let failures = 0; ; failures++) {
      try {
        const response = await this.open(request);
        return await connected(request, () => read(response));
      } catch (error) {
        if (!isRepeatable || failures >= retries || !isPassing(error)) throw error;
        const atLeast = error instanceof ApiError ? error.retryAfter : undefined;
        await pause(delayOf({ failures, first: retryDelay, most: maxRetryDelay, atLeast }), request.signal);
      }
    }
  }

  /**
   * Sends a request once; twice where its token is refused and another can be had.
   *
   * @throws {ApiError} when the answer is an error
   * @throws {ConnectionError} when there is none
   */
  async open(request: ApiRequest): Promise<Response> {
    const token = await this.token.get();
    let response = await this.#fetch(request, token);
    if (response.status === 401 && this.token.canRenew) {
      await response.body?.cancel();
      response = await this.#fetch(request, await this.token.get(token));
    }
    if (response.ok) return response;
    throw await connected(request, () => errorOf(response));
  }

  #fetch({ method, path, query, body, headers, signal }: ApiRequest, token: string | undefined) {
    const { base, fetch, headers: common } = this.settings;
    const url = `${base}/${path.map(segment).join("/")}${queryOf(query)}`;
    const isForm = body instanceof FormData;
    return connected({ method, path, signal }, () =>
      fetch(url, {
        method,
        headers: {
          ...common,
          ...headers,
          // A form brings its own, with its boundary.
          ...(body !== undefined && !isForm && { "content-type": "application/json" }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        ...(body !== undefined && { body: isForm ? body : JSON.stringify(body) }),
        ...(signal && { signal }),
      }),
    );
  }
}

/** @throws {ClientOptionError} for what a URL would not keep as one part of its path */
function segment(text: string): string {
  if (text !== "" && text !== "." && text !== ".." && text.isWellFormed()) return encodeURIComponent(text);
  throw new ClientOptionError(`An id cannot be ${JSON.stringify(text)}.`);
}

/** Whether what failed may work a moment later. */
export function isPassing(error: unknown): boolean {
  return error instanceof ConnectionError || (error instanceof ApiError && error.status >= 500);
}

/** What a runtime throws where there is no connection differs: it becomes one error. An abort stays what it is. */
async function connected<T>(
  { method, path, signal }: Pick<ApiRequest, "method" | "path" | "signal">,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    throw new ConnectionError(`${method} /${path.join("/")}: no answer came, or only a part of one.`, {
      cause: error,
    });
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text();
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const { detail, request_id } = bodyOf(text);
  return new ApiError(response.status, detail ?? (text.slice(0, 500) || response.statusText), {
    requestId: request_id ?? response.headers.get("x-request-id") ?? undefined,
    retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined,
  });
}

/** An error as the server writes it; of what a proxy writes nothing is known. */
function bodyOf(text: string): { detail?: string | ErrorDetail[]; request_id?: string } {
  try {
    const { detail, request_id } = JSON.parse(text);
    const isOurs = typeof detail === "string" || Array.isArray(detail);
    return isOurs ? { detail, request_id } : {};
  } catch {
    return {};
  }
}
