import { ClientOptionError } from "./errors.ts";
import type { TokenSource } from "./token.ts";

/** What a client is made with. */
export interface ClientOptions {
  /** Where the server is, with the path under which it is mounted, if any: `https://os.yourproduct.com`. */
  baseUrl: string | URL;
  /** Sent as `Authorization: Bearer …`. A function is asked again on 401, once the token has expired, and on each reconnect. */
  token?: TokenSource;
  /** Headers that every request carries. */
  headers?: Record<string, string>;
  /** Takes the place of the runtime's `fetch`: for cookies, a proxy, or tests. */
  fetch?: typeof fetch;
  /** How often a call that may be repeated is tried again after a failure of the network or a 5xx. Default 2. */
  retries?: number;
  /** How often in a row a stream is taken up again without a single event in between. Default 10. */
  reconnects?: number;
  /** Seconds before the first try again; each further one waits twice as long, up to `maxRetryDelay`. Default 0.5. */
  retryDelay?: number;
  /** Seconds that the client waits at most by itself. A server that asks for longer is given it. Default 30. */
  maxRetryDelay?: number;
  /** Seconds without a byte after which a stream counts as cut. The server says something every 15. Default 45. */
  idleTimeout?: number;
}

/** What every call takes beside its own fields. */
export interface CallOptions {
  /** Ends the call, and the reading of a stream; a run goes on. */
  signal?: AbortSignal;
}

/** The options with their defaults, once they are known to work. */
export interface Settings {
  base: string;
  headers: Record<string, string>;
  fetch: typeof fetch;
  retries: number;
  reconnects: number;
  retryDelay: number;
  maxRetryDelay: number;
  idleTimeout: number;
}

const known: readonly string[] = [
  "baseUrl",
  "token",
  "headers",
  "fetch",
  "retries",
  "reconnects",
  "retryDelay",
  "maxRetryDelay",
  "idleTimeout",
] satisfies (keyof ClientOptions)[];

/** @throws {ClientOptionError} that names the option and what it must be */
export function settingsOf(options: ClientOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new ClientOptionError(`The option "${name}" is not known.`);
  }
  const { token } = options;
  if (token !== undefined && typeof token !== "string" && typeof token !== "function") {
    throw new ClientOptionError("token: must be a text, or a function that gives one.");
  }
  return {
    base: baseOf(options.baseUrl),
    headers: { ...options.headers },
    // Called as a method of anything else, the browser's own refuses.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    retries: count("retries", options.retries, 2),
    reconnects: count("reconnects", options.reconnects, 10),
    retryDelay: seconds("retryDelay", options.retryDelay, 0.5),
    maxRetryDelay: seconds("maxRetryDelay", options.maxRetryDelay, 30),
    idleTimeout: seconds("idleTimeout", options.idleTimeout, 45),
  };
}

function baseOf(given: string | URL): string {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw new ClientOptionError(
      `baseUrl: must be the URL of a server, such as https://os.yourproduct.com, not ${JSON.stringify(given)}.`,
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new ClientOptionError(`baseUrl: must begin with http: or https:, not ${url.protocol}`);
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function count(name: string, given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (Number.isInteger(given) && given >= 0) return given;
  throw new ClientOptionError(`${name}: must be a whole number from 0 on, not ${given}.`);
}

function seconds(name: string, given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (Number.isFinite(given) && given >= 0) return given;
  throw new ClientOptionError(`${name}: must be seconds from 0 on, not ${given}.`);
}
