import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../test/support/free-port.ts";

/** A Node process that a measurement started. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  /** From its start to its first sign of life, in milliseconds. */
  readonly startMs: number;
  /** The most memory it has held, in MiB; `NaN` where the system does not tell. */
  peakRss(): number;
  /** Throws, with its last words, when the process is gone. */
  check(): void;
  /** Asks it to end, and makes it after 5 s. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  name: string;
  /** Relative to this folder. */
  script: string;
  /** Options of Node. Default: those under which `agentos-ts` is the sources. */
  args?: readonly string[];
  /** What it needs beside `PATH`; `PORT` is added. It gets nothing else of our environment. */
  env?: Record<string, string>;
  /** Whether `GET /health` answering 200 is the sign of life, or an open port. */
  health: boolean;
}

const START_LIMIT_MS = 30_000;
/** Ends a child whose parent is gone, however that one went: its channel to it closes. */
const DIE_WITH_PARENT = `--import=data:text/javascript,${encodeURIComponent(
  'process.on("disconnect", () => process.exit(1)); process.channel?.unref();',
)}`;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(1));
}

/** Starts a script on a free port of 127.0.0.1, given as `PORT` and as its argument, and waits until it answers. */
export async function startChild({
  name,
  script,
  args = ["--conditions=agentos-source"],
  env = {},
  health,
}: ChildOptions): Promise<Child> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const file = fileURLToPath(new URL(script, import.meta.url));
  const started = performance.now();
  const child = spawn(process.execPath, [...args, DIE_WITH_PARENT, file, String(port)], {
    env: {
      PATH: process.env.PATH,
      TMPDIR: process.env.TMPDIR,
      NODE_ENV: "production",
      ...env,
      PORT: String(port),
    },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  running.add(child);
  let words = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4000);
  });
  let gone = false;
  const end = new Promise<void>((resolve) => {
    const ended = () => {
      gone = true;
      running.delete(child);
      resolve();
    };
    child.once("error", ended);
    child.once("close", ended);
  });

  const check = () => {
    if (!gone) return;
    throw new Error(`${name} has ended (${child.signalCode ?? child.exitCode ?? "not started"})\n${words}`);
  };
  const stop = async () => {
    child.kill("SIGTERM");
    const limit = setTimeout(() => child.kill("SIGKILL"), 5000);
    await end;
    clearTimeout(limit);
  };

  const alive = health ? () => isHealthy(url) : () => isOpen(port);
  while (!(await alive())) {
    check();
    if (performance.now() - started > START_LIMIT_MS) {
      await stop();
      throw new Error(`${name} did not answer within ${START_LIMIT_MS / 1000} s\n${words}`);
    }
    await sleep(5);
  }
  const pid = child.pid ?? 0;
  return { name, pid, url, startMs: performance.now() - started, peakRss: () => peakRss(pid), check, stop };
}

function peakRss(pid: number): number {
  try {
    const kib = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kib ?? Number.NaN) / 1024;
  } catch {
    return Number.NaN;
  }
}

function isHealthy(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(`${url}/health`, { agent: false, timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once("timeout", () => request.destroy());
    request.once("error", () => resolve(false));
  });
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
