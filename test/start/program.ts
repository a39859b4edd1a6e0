import { spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** How a program ended. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A program in a process of its own. It is killed with the test, if it is still there then. */
export interface Program {
  /** Waits for a line that matches, and gives the match. Rejects when the program ends before. */
  prints(pattern: RegExp): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  ended: Promise<Ending>;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** With what `npm start` starts Node. */
export const nodeOptions = ["--conditions=agentos-source", "--import", "./scripts/compile-cache.mjs"];

/** Settings of whoever runs the tests must not become those of the program. */
const ours = /^(PORT|HOST|DATABASE_URL|AGENTOS_\w+|OPENAI_\w+|LOG_LEVEL|NODE_COMPILE_CACHE)$/;

/**
 * Starts a program of this repository, from its sources, on any free port and on a database of its own.
 *
 * @param file - its path in the repository
 * @param settings - its environment, beside what every process has
 * @param args - what comes after the file
 */
export async function startProgram(
  file: string,
  settings: Record<string, string> = {},
  args: readonly string[] = [],
): Promise<Program> {
  const folder = await mkdtemp(join(tmpdir(), "agentos-program-"));
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
  const child = spawn(process.execPath, [...nodeOptions, join(root, file), ...args], {
    cwd: root,
    env: {
      ...inherited,
      PORT: "0",
      LOG_LEVEL: "silent",
      AGENTOS_SQLITE_PATH: join(folder, "agentos.db"),
      ...settings,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));

  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  const ended = new Promise<Ending>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, ...output }));
  });
  return {
    ended,
    signal: (signal) => void child.kill(signal),
    prints: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(output.stdout);
          if (match) resolve(match);
        };
        look();
        child.stdout.on("data", look);
        void ended.then(({ code, stderr }) => {
          reject(new Error(`${file} ended with ${code} before it printed ${pattern}: ${stderr}`));
        });
      }),
  };
}

/** The URL where a program of this package says that it listens. */
export async function urlOf(program: Program): Promise<string> {
  return (await program.prints(/listens on (http:\S+)\n/))[1]!;
}
