import type { Logger } from "pino";
import { BaseAgent } from "./agent/agent.ts";
import type { Database } from "./db/database.ts";
import { isJsonObject } from "./events/json.ts";
import { type AuthorizationOptions, authorizationShape } from "./http/auth/options.ts";
import { type UsageOptions, usageShape } from "./http/usage/options.ts";
import { type Shape, shapes } from "./options.ts";
import type { LogWriterOptions } from "./runs/log-writer.ts";
import type { LeaseOptions } from "./runs/node-lease.ts";
import type { QueueOptions } from "./runs/runner-options.ts";
import { logLevels } from "./settings.ts";
import type { Prices } from "./telemetry/prices.ts";
import type { TraceOptions } from "./telemetry/telemetry.ts";

/** What an AgentOS serves, and how. Only `agents` is needed. */
export interface AgentOSOptions {
  /** What it serves. Ids must differ. */
  agents: readonly AnyAgent[];
  /** Where everything is stored. Default: the database that the agents share; without one, memory. */
  db?: Database;
  /** Names the server in `/info`. Default: made from the name, else a new one at each start. */
  id?: string;
  /** For people: the title of `/docs`. */
  name?: string;
  description?: string;
  /** The version of what you serve, for `/info` and `/docs`. Default `1.0.0`. */
  version?: string;
  /** Status in upper case, and what else clients of the original expect. Default: the setting `AGENTOS_AGNO_COMPAT`. */
  agnoCompat?: boolean;
  /**
   * Whether callers need a token, and what they may do with it. Default: the setting `AGENTOS_AUTHORIZATION`. With `true` the
   * keys come from the settings `JWT_VERIFICATION_KEY`, `JWT_JWKS_FILE` or `JWT_JWKS_URL`.
   */
  authorization?: boolean | AuthorizationOptions;
  /**
   * Proxies of yours before the server, each of which adds to `X-Forwarded-For`: how a client's address is known. Default:
   * the setting `AGENTOS_TRUSTED_PROXIES`, else 0.
   */
  trustedProxies?: number;
  /** How much each user and each client may do. Default: as much as they like. */
  limits?: UsageOptions;
  /** Origins of pages that may call it, or `["*"]`. Default: pages on localhost and 127.0.0.1, any port. */
  corsOrigins?: readonly string[];
  /** Bytes that a JSON or urlencoded body may have. Default 1 MiB. */
  maxJsonBytes?: number;
  /** Bytes that a form with files may have. Default 32 MiB. */
  maxUploadBytes?: number;
  /** Seconds that runs under way get when the server stops. Default 30. */
  drainTimeout?: number;
  /** How the log of runs is written: milliseconds between writes, bytes of a write and of what may wait. */
  log?: Partial<LogWriterOptions>;
  /**
   * How the process shows that it is alive, in milliseconds: how long others take it for alive, how often it says so, how
   * often it looks for runs of dead ones. Default 10,000, 3,000 and 2,000.
   */
  lease?: Partial<LeaseOptions>;
  /**
   * How background runs wait: how many one process does at the same time, and how many may wait in all, of one user, and of
   * one session. Default 32, 10,000, 1,000 and 100.
   */
  queue?: Partial<QueueOptions>;
  /** Seconds for which the log of a run is kept after its end, for streams to be resumed from. Default a day. */
  logRetention?: number;
  /** What is recorded of runs as traces, and for how long; `false` for nothing. Default: everything, for ever. */
  traces?: boolean | TraceOptions;
  /**
   * What a million tokens of each model cost, in your currency: runs, sessions and days then tell their cost. What has no
   * price says that its cost is unknown.
   *
   * @example
   * { "gpt-5.5": { input: 1.25, output: 10, cacheRead: 0.125 } }
   */
  prices?: Prices;
  /** Least level that is logged. Default: the setting `LOG_LEVEL`, else `info`. */
  logLevel?: (typeof logLevels)[number];
  /** Takes the place of the server's own logger. */
  logger?: Logger;
}

/** An agent of whatever types. */
// biome-ignore lint/suspicious/noExplicitAny: an agent's types stand on both sides of its methods, so no other type takes all.
export type AnyAgent = BaseAgent<any, any, any>;

/** An object with these fields and no others, each a number that is not negative. */
function numbers<T>(fields: readonly (keyof T & string)[]): Shape {
  return {
    fits: (value) =>
      isJsonObject(value) &&
      Object.entries(value).every(
        ([field, one]) => fields.includes(field as keyof T & string) && shapes.notNegative.fits(one),
      ),
    words: `an object of numbers: ${fields.join(", ")}`,
  };
}

/** What each option must be. */
export const agentOSShapes = {
  agents: {
    fits: (value) =>
      Array.isArray(value) && value.length > 0 && value.every((one) => one instanceof BaseAgent),
    words: "a list of at least one Agent",
  },
  db: shapes.database,
  id: shapes.text,
  name: shapes.text,
  description: shapes.text,
  version: shapes.text,
  agnoCompat: shapes.flag,
  authorization: authorizationShape,
  trustedProxies: {
    fits: (value) => shapes.notNegative.fits(value) && Number.isInteger(value),
    words: "a whole number that is not negative",
  },
  limits: usageShape,
  corsOrigins: shapes.texts,
  maxJsonBytes: shapes.notNegative,
  maxUploadBytes: shapes.notNegative,
  drainTimeout: {
    fits: (value) => shapes.notNegative.fits(value) && Number(value) <= 86_400,
    words: "a number of seconds from 0 to 86400",
  },
  log: numbers<LogWriterOptions>(["interval", "backgroundInterval", "batchBytes", "bufferBytes", "retryFor"]),
  lease: numbers<LeaseOptions>(["lease", "beat", "sweep"]),
  queue: numbers<QueueOptions>(["concurrency", "total", "user", "session"]),
  logRetention: shapes.notNegative,
  traces: {
    fits: (value) => typeof value === "boolean" || isTraceOptions(value),
    words: "a boolean, or an object of content, redact, retentionDays and spanProcessors",
  },
  prices: {
    fits: (value) => isJsonObject(value) && Object.values(value).every(isPrice),
    words: "an object of prices by model: { input, output, cacheRead?, cacheWrite? }, none of them negative",
  },
  logLevel: {
    fits: (value) => logLevels.includes(value as never),
    words: `one of ${logLevels.join(", ")}`,
  },
  logger: {
    fits: (value) =>
      isJsonObject(value) &&
      ["debug", "info", "warn", "error"].every((level) => typeof value[level] === "function"),
    words: "a logger like pino's",
  },
} satisfies Record<keyof AgentOSOptions, Shape>;

function isTraceOptions(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const { content, redact, retentionDays, spanProcessors, ...unknown } = value;
  return (
    Object.keys(unknown).length === 0 &&
    (content === undefined || typeof content === "boolean") &&
    (redact === undefined || typeof redact === "function") &&
    (retentionDays === undefined || (shapes.notNegative.fits(retentionDays) && retentionDays > 0)) &&
    (spanProcessors === undefined || Array.isArray(spanProcessors))
  );
}

function isPrice(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const { input, output, cacheRead = 0, cacheWrite = 0, ...unknown } = value;
  return (
    Object.keys(unknown).length === 0 && [input, output, cacheRead, cacheWrite].every(shapes.notNegative.fits)
  );
}
