import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../free-port.ts";
import type { TcpProxy } from "../tcp-proxy.ts";

const app = fileURLToPath(new URL("app.ts", import.meta.url));

/** Processes that must not outlive this one, however it ends. */
const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** A server that can be killed, frozen, and started again on the port that it had. */
export class ChaosNode {
  readonly name: string;
  readonly port: number;
  /** Between it and its database, where there is something between. */
  readonly proxy: TcpProxy | undefined;
  readonly #environment: Record<string, string>;
  #child: ChildProcess | undefined;
  #output = "";
  #isExpected = false;
  /** Whether a signal holds it. */
  isFrozen = false;
  /** How it ended by itself, which it must not. */
  readonly falls: string[] = [];

  private constructor(
    name: string,
    port: number,
    environment: Record<string, string>,
    proxy: TcpProxy | undefined,
  ) {
    this.name = name;
    this.port = port;
    this.#environment = environment;
    this.proxy = proxy;
  }

  static async create(
    name: string,
    environment: Record<string, string>,
    proxy?: TcpProxy,
  ): Promise<ChaosNode> {
    return new ChaosNode(name, await freePort(), environment, proxy);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Whether there is a process. */
  get isUp(): boolean {
    return this.#child !== undefined;
  }

  /** What it said last, for whoever looks for the cause of a failure. */
  get output(): string {
    return this.#output;
  }

  /**
   * Starts it, again while its database is away.
   *
   * @param more - settings of this start
   */
  async start(more: Record<string, string> = {}): Promise<void> {
    for (const until = performance.now() + 120_000; !(await this.#try(more)); ) {
      await wait(300);
      if (performance.now() > until) throw new Error(`${this.name} does not start: ${this.#output}`);
    }
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stops it as a deployment does. @throws when it does not end by itself, with 0 */
  async stop(): Promise<void> {
    const code = await this.#end("SIGTERM");
    if (code !== 0) throw new Error(`${this.name} ended with ${code}: ${this.#output.slice(-2000)}`);
  }

  freeze(): void {
    this.isFrozen = true;
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
    this.isFrozen = false;
  }

  async #try(more: Record<string, string>): Promise<boolean> {
    const child = spawn(process.execPath, ["--conditions=agentos-source", app], {
      env: {
        ...process.env,
        LOG_LEVEL: "warn",
        ...this.#environment,
        ...more,
        PORT: String(this.port),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#isExpected = false;
    let listens = false;
    const up = Promise.withResolvers<boolean>();
    const read = (chunk: Buffer) => {
      this.#output = `${this.#output}${chunk.toString()}`.slice(-20_000);
      if (this.#output.includes("listens on")) {
        listens = true;
        up.resolve(true);
      }
    };
    this.#output = "";
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    children.add(child);
    child.once("exit", (code, signal) => {
      children.delete(child);
      this.#child = undefined;
      if (listens && !this.#isExpected)
        this.falls.push(`${this.name} ended with ${code ?? signal}: ${this.#output}`);
      up.resolve(false);
    });
    this.#child = child;
    return up.promise;
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child) return 0;
    this.#isExpected = true;
    const exited = once(child, "exit");
    child.kill(signal);
    if (this.isFrozen) this.thaw();
    const [code] = (await exited) as [number | null];
    return code;
  }
}
