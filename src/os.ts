import type { OpenAPIHono } from "@hono/zod-openapi";
import { type Logger, pino } from "pino";
import { authorizationFrom, unusedKeyWarning } from "./authorization.ts";
import type { Database } from "./db/database.ts";
import { inMemory } from "./db/sqlite/connection.ts";
import { SqliteDb } from "./db/sqlite/sqlite-db.ts";
import { ConfigurationError } from "./errors.ts";
import { newId } from "./events/ids.ts";
import { createApp } from "./http/app.ts";
import { Authenticator, type AuthenticatorParts } from "./http/auth/authenticator.ts";
import { type Served, serverStoreOf } from "./http/served.ts";
import { Meter } from "./http/usage/meter.ts";
import { checkUsage } from "./http/usage/options.ts";
import { loadConnections } from "./models/connections.ts";
import { OpenAIResponses } from "./models/openai-responses.ts";
import { mustFit, refuseUnfit, refuseUnknown } from "./options.ts";
import { type AgentOSOptions, type AnyAgent, agentOSShapes } from "./os-options.ts";
import { DurableRunner } from "./runs/runner.ts";
import {
  addressOf,
  printBanner,
  type RunningServer,
  type ServeOptions,
  serveHere,
  workerCount,
} from "./serve.ts";
import { readSetting } from "./settings.ts";
import { Telemetry } from "./telemetry/telemetry.ts";
import { type WorkerPlace, workerPlace } from "./workers/place.ts";
import type { WorkerServer } from "./workers/worker.ts";
import type { Workers } from "./workers/workers.ts";

/** Milliseconds after which a server that listens loads what only runs need: whoever waits for it to answer comes first. */
const loadDelay = 50;

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
    refuseUnknown("AgentOS", options, Object.keys(agentOSShapes));
    refuseUnfit("AgentOS", options, agentOSShapes);
    mustFit("AgentOS", "agents", options.agents, agentOSShapes.agents);
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
