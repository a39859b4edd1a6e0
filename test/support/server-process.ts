import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** A server in a process of its own, which a test can kill. */
export interface ServerProcess {
  url: string;
  pid: number;
  /** Sends a signal and waits until the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** How a process ended that never listened. */
export interface FailedStart {
  code: number | null;
  stderr: string;
}

/** The conformance app: the agents `copilot` and `approver`. */
const conformanceApp = new URL("../conformance/serve.ts", import.meta.url);

function launch(environment: Record<string, string>, app = conformanceApp): ChildProcess {
  return spawn(process.execPath, ["--conditions=agentos-source", fileURLToPath(app)], {
    env: { ...process.env, PORT: "0", LOG_LEVEL: "silent", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/**
 * Starts an app: the conformance app where no other is given.
 *
 * @returns once it listens
 */
export async function startServerProcess(
  environment: Record<string, string>,
  app?: URL,
): Promise<ServerProcess> {
  const child = launch(environment, app);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    let output = "";
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      const listens = /listens on (http:\S+)/.exec(output)?.[1];
      if (listens) resolve(listens);
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("exit", (code) => reject(new Error(`The server ended with ${code}: ${output}`)));
  });
  return {
    url,
    pid: child.pid ?? 0,
    async kill(signal) {
      child.kill(signal);
      await exited;
    },
  };
}

/** Starts a server that is expected to refuse, and says how it ended. */
export function startInVain(environment: Record<string, string>): Promise<FailedStart> {
  const child = launch(environment);
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdout?.on("data", (chunk: Buffer) => {
    if (chunk.toString().includes("listens on")) child.kill("SIGKILL");
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stderr })));
}
