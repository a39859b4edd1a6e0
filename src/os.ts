import type { OpenAPIHono } from "@hono/zod-openapi";
import { type Logger, pino } from "pino";
import { BaseAgent } from "./agent/agent.ts";
import { authorizationFrom, unusedKeyWarning } from "./authorization.ts";
import type { Database } from "./db/database.ts";
import { inMemory } from "./db/sqlite/connection.ts";
import { SqliteDb } from "./db/sqlite/sqlite-db.ts";
import { ConfigurationError } from "./errors.ts";
import { newId } from "./events/ids.ts";
import { isJsonObject } from "./events/json.ts";
import { createApp } from "./http/app.ts";
import { Authenticator, type AuthenticatorParts } from "./http/auth/authenticator.ts";
import { type AuthorizationOptions, authorizationShape } from "./http/auth/options.ts";
import { type Served, serverStoreOf } from "./http/served.ts";
import { Meter } from "./http/usage/meter.ts";
import { checkUsage, type UsageOptions, usageShape } from "./http/usage/options.ts";
import { loadConnections } from "./models/connections.ts";
import { OpenAIResponses } from "./models/openai-responses.ts";
import { mustFit, refuseUnfit, refuseUnknown, type Shape, shapes } from "./options.ts";
import type { LogWriterOptions } from "./runs/log-writer.ts";
import type { LeaseOptions } from "./runs/node-lease.ts";
import { DurableRunner } from "./runs/runner.ts";
import type { QueueOptions } from "./runs/runner-options.ts";
import {
  addressOf,
  printBanner,
  type RunningServer,
  type ServeOptions,
  serveHere,
  workerCount,
} from "./serve.ts";
import { logLevels, readSetting } from "./settings.ts";
import type { Prices } from "./telemetry/prices.ts";
import { Telemetry, type TraceOptions } from "./telemetry/telemetry.ts";
import { type WorkerPlace, workerPlace } from "./workers/place.ts";
import type { WorkerServer } from "./workers/worker.ts";
import type { Workers } from "./workers/workers.ts";

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

/** Milliseconds after which a server that listens loads what only runs need: whoever waits for it to answer comes first. */
const loadDelay = 50;

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

const wanted = {
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

/**
 * Serves agents over HTTP.
 *
 * @example
 * const agentOS = new AgentOS({ agents: [copilot] });
 * const app = agentOS.getApp();
 * app.get("/hello", (c) => c.text("hello"));
 * await agentOS.serve({ port: 7777 });
 */
export class AgentOS {
  readonly id: string;
  /** Where everything is stored. */
  readonly db: Database;
  readonly #served: Served;
  readonly #app: OpenAPIHono;
  readonly #drainTimeout: number;
  #server: RunningServer | undefined;
  /** Where this process has workers to serve in its place. */
  #workers: Workers | undefined;
  /** Where this process is one of them. */
  #asWorker: WorkerServer | undefined;
  #closing: Promise<void> | undefined;
  #loadLater: NodeJS.Timeout | undefined;

  /** @throws {ConfigurationError} that names the option or setting that cannot work */
  constructor(options: AgentOSOptions) {
    refuseUnknown("AgentOS", options, Object.keys(wanted));
    refuseUnfit("AgentOS", options, wanted);
    mustFit("AgentOS", "agents", options.agents, wanted.agents);
    const place = workerPlace();
    const logger = options.logger ?? ownLogger(options.logLevel, place);
    this.id = options.id ?? slug(options.name) ?? place?.osId ?? newId();
    this.db = sharedDatabase(options.agents, options.db) ?? new SqliteDb({ path: inMemory, id: "memory" });
    this.#drainTimeout = options.drainTimeout ?? 30;
    const { traces = true, prices = {} } = options;
    const telemetry = new Telemetry({
      db: this.db,
      logger,
      traces: traces === true ? {} : traces || undefined,
      prices,
      worker: place && String(place.number),
    });
    const agents = served(options.agents);
    this.db.onStoredEnd((end) => {
      const { agent_id, user_id } = end.row;
      telemetry.ended(end, agents.get(agent_id)?.name);
      this.#served.meter?.used(user_id ?? undefined, end.event.metrics.total_tokens);
    });
    const runner = new DurableRunner({
      db: this.db,
      logger,
      agents,
      telemetry,
      ...(options.queue && { queue: options.queue }),
      ...(options.logRetention !== undefined && { logRetention: options.logRetention * 1000 }),
      ...(options.log && { logWriter: options.log }),
      ...(options.lease && { lease: options.lease }),
      onEnded: (run) => this.#served.meter?.ended(run),
      onUsed: (userId, tokens) => this.#served.meter?.used(userId, tokens),
    });
    const access = {
      serverStore: () => serverStoreOf(this),
      proxies: options.trustedProxies ?? readSetting("AGENTOS_TRUSTED_PROXIES"),
      logger,
    };
    if (options.limits) checkUsage(options.limits);
    this.#served = {
      id: this.id,
      name: options.name,
      description: options.description,
      version: options.version ?? "1.0.0",
      agents,
      db: this.db,
      inMemory: this.db.location === inMemory,
      runner,
      telemetry,
      logger,
      auth: authenticatorOf(options.authorization, this.id, access),
      meter: options.limits && new Meter(options.limits, access),
      agnoCompat: options.agnoCompat ?? readSetting("AGENTOS_AGNO_COMPAT"),
      limits: {
        json: options.maxJsonBytes ?? 1024 ** 2,
        upload: options.maxUploadBytes ?? 32 * 1024 ** 2,
      },
      corsOrigins: options.corsOrigins,
      startedAt: new Date(),
      otherWorkers: async () => (await this.#asWorker?.others()) ?? [],
      stopping: () => this.#closing !== undefined,
    };
    for (const agent of options.agents) agent.bind(runner);
    this.#app = createApp(this.#served);
  }

  /** The Hono app: add routes to it, mount it in another app, or hand its `fetch` to any server. */
  getApp(): OpenAPIHono {
    return this.#app;
  }

  /**
   * Opens the database and listens. SIGTERM and SIGINT stop it cleanly from then on.
   *
   * With `workers` above 1 it has so many processes run this script from its beginning, and they listen: what stands before
   * and after `serve()` is done in each of them and in this one.
   *
   * @returns once it answers, with where it does
   * @throws {ConfigurationError} in one line, when the database or the port cannot be had
   */
  async serve(options: ServeOptions = {}): Promise<RunningServer> {
    if (this.#server ?? this.#workers)
      throw new ConfigurationError("AgentOS: serve() was called before, and it listens already.");
    const serving = { served: this.#served, app: this.#app, options, close: () => this.close() };
    const address = addressOf(options);
    const workers = workerCount(options);
    const place = workerPlace();
    if (place) {
      // Not imported where nobody wants it.
      const { serveInPlace } = await import("./workers/worker.ts");
      this.#asWorker = await serveInPlace(place, serving, address);
      this.#server = this.#asWorker.server;
    } else if (workers > 1) {
      const { Workers } = await import("./workers/workers.ts");
      this.#workers = new Workers(workers, serving);
      this.#server = await this.#workers.start(address).catch((error: unknown) => {
        this.#workers = undefined;
        throw error;
      });
    } else {
      this.#server = (await serveHere(serving, address)).server;
      if (options.banner !== false) printBanner(this.#served, this.#server.url);
    }
    if (!this.#workers) this.#loadLater = setTimeout(() => void this.#loadForRuns(), loadDelay).unref();
    return this.#server;
  }

  /** Loads what the first run would have to wait for. That something cannot be loaded, that run tells. */
  async #loadForRuns(): Promise<void> {
    const { telemetry, agents } = this.#served;
    const connects = [...agents.values()].some(({ model }) => model instanceof OpenAIResponses);
    await Promise.allSettled([telemetry.load(), connects && loadConnections()]);
  }

  /**
   * Stops: no new runs, those under way get their time, then the port and the database are closed.
   * Called again, it waits for the same end.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const ends = await Promise.allSettled([this.#workers?.stop(), this.#closeHere()]);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  async #closeHere(): Promise<void> {
    clearTimeout(this.#loadLater);
    await this.#served.runner.drain(this.#drainTimeout * 1000);
    await this.#served.telemetry.close();
    if (!this.#workers) await this.#server?.stopListening();
    await this.#served.auth?.close();
    await this.#served.meter?.close();
    await this.db.close();
    // A worker ends as any process does that has nothing left to do: what the primary may still say does not hold it.
    if (this.#asWorker) process.channel?.unref();
  }
}

function ownLogger(level = readSetting("LOG_LEVEL") ?? "info", place: WorkerPlace | undefined): Logger {
  const logger = pino({ name: "agentos", level });
  return place ? logger.child({ worker: place.number }) : logger;
}

function authenticatorOf(
  given: AgentOSOptions["authorization"],
  osId: string,
  parts: AuthenticatorParts,
): Authenticator | undefined {
  const found = authorizationFrom(given, osId);
  if (!found) return undefined;
  if ("authorization" in found) return new Authenticator(found.authorization, parts);
  parts.logger.warn(unusedKeyWarning(found.unused));
  return undefined;
}

function served(agents: readonly AnyAgent[]): Served["agents"] {
  const ids = agents.map((agent) => agent.id);
  const twice = [...new Set(ids.filter((id, i) => ids.indexOf(id) !== i))];
  if (twice.length > 0)
    throw new ConfigurationError(`AgentOS: more than one agent has the id ${twice.join(", ")}.`);
  return new Map(agents.map((agent) => [agent.id, agent.definition]));
}

function sharedDatabase(agents: readonly AnyAgent[], db: Database | undefined): Database | undefined {
  const databases = new Set([...(db ? [db] : []), ...agents.flatMap((agent) => agent.db ?? [])]);
  if (databases.size > 1) {
    throw new ConfigurationError(
      "AgentOS: it and its agents have different databases. A server has one: give all of them the same.",
    );
  }
  return [...databases][0];
}

function slug(name: string | undefined): string | undefined {
  const text = name
    ?.toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return text === "" ? undefined : text;
}
