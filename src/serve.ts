import { type AddressInfo, isIPv6 } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { ConfigurationError } from "./errors.ts";
import type { Served } from "./http/served.ts";
import { readSetting } from "./settings.ts";

/** Where to listen. */
export interface ServeOptions {
  /** 0 takes any free one. Default: the setting `PORT`, else 7777. */
  port?: number;
  /** Default: the setting `HOST`, else 127.0.0.1: this machine only. */
  hostname?: string;
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
  /** Closes the port. Most callers want `AgentOS.close()`, which first lets runs end. */
  stopListening(): Promise<void>;
}

/** Listens until it is told to stop. @throws {ConfigurationError} when the port cannot be had */
export async function listen(
  served: Served,
  app: OpenAPIHono,
  options: ServeOptions,
  close: () => Promise<void>,
): Promise<RunningServer> {
  const hostname = options.hostname ?? readSetting("HOST");
  const wanted = options.port ?? readSetting("PORT");
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65535) {
    throw new ConfigurationError(`serve(): port must be a whole number from 0 to 65535, not ${wanted}.`);
  }
  const { headers = 15, request = 120, idle = 65 } = options.timeouts ?? {};
  for (const [name, seconds] of Object.entries({ headers, request, idle })) {
    if (!(Number.isFinite(seconds) && seconds > 0)) {
      throw new ConfigurationError(
        `serve(): timeouts.${name} must be a number of seconds above 0, not ${seconds}.`,
      );
    }
  }
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
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const [reason, remedy] =
        error.code === "EADDRINUSE"
          ? ["another program listens there", "Set PORT to another port."]
          : [error.message, "Check HOST and PORT."];
      reject(
        new ConfigurationError(`Cannot listen on ${hostname}:${wanted}: ${reason}. ${remedy}`, {
          cause: error,
        }),
      );
    });
    server.listen(wanted, hostname, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`;
  const letGo = options.handleSignals === false ? () => undefined : stopOnSignal(served, close);
  if (options.banner !== false) printBanner(served, url);
  return {
    url,
    port,
    stopListening: () =>
      new Promise((resolve) => {
        letGo();
        server.close(() => resolve());
        if ("closeIdleConnections" in server) server.closeIdleConnections();
        // Streams have ended with their runs; what is still open after this is a client that does not read.
        setTimeout(() => "closeAllConnections" in server && server.closeAllConnections(), 1000).unref();
      }),
  };
}

/** Milliseconds in which a second signal is the first one again: npm passes on a Ctrl-C that came to us as well. */
const sameSignal = 1000;

function stopOnSignal(served: Served, close: () => Promise<void>): () => void {
  let stoppingSince: number | undefined;
  const stop = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (stoppingSince !== undefined) {
      if (now - stoppingSince < sameSignal) return;
      served.logger.warn({ signal, runs: served.runner.liveRuns }, "stopping at once");
      void served.runner.drain(0);
      return;
    }
    stoppingSince = now;
    served.logger.info({ signal, runs: served.runner.liveRuns }, "stopping");
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        served.logger.error({ err: error }, "stopping failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  return () => {
    // Once a signal has come, the next one is ours too: without a listener it would kill the process.
    if (stoppingSince !== undefined) return;
    process.off("SIGTERM", stop);
    process.off("SIGINT", stop);
  };
}

function printBanner(served: Served, url: string): void {
  const agents = [...served.agents.values()];
  const models = [...new Set(agents.map(({ model }) => `${model.id} (${model.provider})`))];
  const offline = agents.some(({ model }) => model.provider === "offline");
  const lines = [
    `AgentOS listens on ${url}`,
    `  agents    ${agents.map(({ id }) => id).join(", ")}`,
    `  model     ${models.join(", ")}`,
    ...(offline ? ["            offline: it only echoes. Set OPENAI_API_KEY for a real model."] : []),
    `  database  ${served.db.engine}, ${served.db.location}`,
    `  docs      ${url}/docs`,
    "",
    "Try it:",
    `  curl -X POST ${url}/agents/${agents[0]!.id}/runs -F 'message=Hello' -F 'stream=false'`,
    "",
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
