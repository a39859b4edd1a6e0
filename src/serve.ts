import { type AddressInfo, isIPv6, type Server } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { ConfigurationError } from "./errors.ts";
import type { Served } from "./http/served.ts";
import { readSetting } from "./settings.ts";
import { Stop } from "./stop.ts";

/** Where to listen. */
export interface ServeOptions {
  /** 0 takes any free one. Default: the setting `PORT`, else 7777. */
  port?: number;
  /** Default: the setting `HOST`, else 127.0.0.1: this machine only. */
  hostname?: string;
  /**
   * How many processes answer on the port, each of them a server of its own that runs this script from its beginning. More
   * than one need PostgreSQL. Default: the setting `AGENTOS_WORKERS`, else 1: this process.
   */
  workers?: number;
  /** Whether SIGTERM and SIGINT stop the server. Default true. */
  handleSignals?: boolean;
  /**
   * Seconds that a connection may take: until the headers of a request are there (15), until all of it is (120), and between
   * two requests (65). Then it is closed. A stream that is being read is none of these.
   */
  timeouts?: { headers?: number; request?: number; idle?: number };
  /** Whether to print where it listens and with what. Default true. */
  banner?: boolean;
}

/** A server that listens. */
export interface RunningServer {
  readonly url: string;
  readonly port: number;
  /**
   * Closes the port, that of all workers where there are some; who of them ends after that is not started again. Most callers
   * want `AgentOS.close()`, which first lets runs end.
   */
  stopListening(): Promise<void>;
}

/** What is served, and how that begins and ends. */
export interface Serving {
  readonly served: Served;
  readonly app: OpenAPIHono;
  readonly options: ServeOptions;
  close(): Promise<void>;
}

/** Where to listen, looked at. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
  /** Seconds. */
  readonly timeouts: { headers: number; request: number; idle: number };
}

/** @throws {ConfigurationError} that names what cannot work */
export function addressOf(options: ServeOptions): Address {
  const hostname = options.hostname ?? readSetting("HOST");
  const port = options.port ?? readSetting("PORT");
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new ConfigurationError(`serve(): port must be a whole number from 0 to 65535, not ${port}.`);
  }
  const { headers = 15, request = 120, idle = 65 } = options.timeouts ?? {};
  const timeouts = { headers, request, idle };
  for (const [name, seconds] of Object.entries(timeouts)) {
    if (!(Number.isFinite(seconds) && seconds > 0)) {
      throw new ConfigurationError(
        `serve(): timeouts.${name} must be a number of seconds above 0, not ${seconds}.`,
      );
    }
  }
  return { hostname, port, timeouts };
}

/** How many processes are to listen. @throws {ConfigurationError} when that makes no sense */
export function workerCount({ workers = readSetting("AGENTOS_WORKERS") }: ServeOptions): number {
  if (Number.isInteger(workers) && workers >= 1) return workers;
  throw new ConfigurationError(`serve(): workers must be a whole number of at least 1, not ${workers}.`);
}

/** Opens the database, listens, and does runs, all in this process, until it is told to stop. */
export async function serveHere(
  { served, app, options, close }: Serving,
  address: Address,
  beforeListening?: () => Promise<void>,
): Promise<{ server: RunningServer; stop: Stop }> {
  await served.runner.open();
  if (served.inMemory) {
    served.logger.warn("no database is set: runs are kept in memory and go with the process");
  }
  await beforeListening?.();
  const { headers, request, idle } = address.timeouts;
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      headersTimeout: headers * 1000,
      requestTimeout: request * 1000,
      keepAliveTimeout: idle * 1000,
      // How often Node looks for connections that take too long.
      connectionsCheckingInterval: Math.min(5, headers / 2, request / 2) * 1000,
    },
  });
  const port = await listen(server as Server, address);
  const stop = new Stop({
    logger: served.logger,
    underWay: () => ({ runs: served.runner.liveRuns }),
    close,
    hurry: () => void served.runner.drain(0),
  });
  const letGo = options.handleSignals === false ? () => undefined : stop.onSignals();
  return {
    stop,
    server: {
      url: urlOf(address.hostname, port),
      port,
      stopListening: () =>
        new Promise((resolve) => {
          letGo();
          server.close(() => resolve());
          if ("closeIdleConnections" in server) server.closeIdleConnections();
          // Streams have ended with their runs; what is still open after this is a client that does not read.
          setTimeout(() => "closeAllConnections" in server && server.closeAllConnections(), 1000).unref();
        }),
    },
  };
}

/** Takes a port. @returns which one @throws {ConfigurationError} when it cannot be had */
export async function listen(server: Server, { hostname, port }: Address): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const [reason, remedy] =
        error.code === "EADDRINUSE"
          ? ["another program listens there", "Set PORT to another port."]
          : [error.message, "Check HOST and PORT."];
      const text = `Cannot listen on ${hostname}:${port}: ${reason}. ${remedy}`;
      reject(new ConfigurationError(text, { cause: error }));
    });
    server.listen(port, hostname, resolve);
  });
  return (server.address() as AddressInfo).port;
}

export function urlOf(hostname: string, port: number): string {
  return `http://${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`;
}

/** Says where it listens, with what, and how to try it. */
export function printBanner(served: Served, url: string, workers = 1): void {
  const agents = [...served.agents.values()];
  const models = [...new Set(agents.map(({ model }) => `${model.id} (${model.provider})`))];
  const offline = agents.some(({ model }) => model.provider === "offline");
  const lines = [
    `AgentOS listens on ${url}`,
    `  agents    ${agents.map(({ id }) => id).join(", ")}`,
    `  model     ${models.join(", ")}`,
    ...(offline ? ["            offline: it only echoes. Set OPENAI_API_KEY for a real model."] : []),
    `  database  ${served.db.engine}, ${served.db.location}`,
    ...(workers > 1 ? [`  workers   ${workers} processes on this port`] : []),
    `  docs      ${url}/docs`,
    "",
    "Try it:",
    `  curl -X POST ${url}/agents/${agents[0]!.id}/runs -F 'message=Hello' -F 'stream=false'`,
    "",
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
