import cluster from "node:cluster";
import { createServer } from "node:net";
import { ConfigurationError } from "../errors.ts";
import { type Address, listen, printBanner, type RunningServer, type Serving, urlOf } from "../serve.ts";
import { Stop } from "../stop.ts";
import { Seat } from "./seat.ts";
import { WorkerProcess } from "./worker-process.ts";

/** Milliseconds that a worker has to say what it measured. One that is held up for longer is left out. */
const metricsLimit = 2000;

/**
 * The processes that answer on one port, as the one above them sees it, the primary. It serves nothing itself: it takes
 * connections and hands them to the workers by turns.
 *
 * @see https://nodejs.org/api/cluster.html
 */
export class Workers {
  readonly #serving: Serving;
  readonly #count: number;
  #seats: readonly Seat[] = [];

  /** @throws {ConfigurationError} when this server cannot have any */
  constructor(count: number, serving: Serving) {
    this.#count = count;
    this.#serving = serving;
    const refuse = (why: string) => {
      throw new ConfigurationError(`serve(): ${count} workers cannot be had: ${why}`);
    };
    const { db, inMemory } = serving.served;
    if (db.engine !== "postgres") {
      const what = inMemory ? "memory" : "a SQLite file";
      refuse(
        `they share a PostgreSQL database, and this server has ${what}. Set DATABASE_URL, or leave AGENTOS_WORKERS out.`,
      );
    }
    if (!cluster.isPrimary) refuse("this process is itself the worker of another.");
    if (Object.keys(cluster.workers ?? {}).length > 0) {
      refuse("this process has others already. Serve each AgentOS from a process of its own.");
    }
    if (process.argv[1] === undefined) {
      refuse("they run the script that this process was started with, and there is none.");
    }
  }

  /**
   * Starts them, the first one alone: what keeps it from starting would keep all, and is said once.
   *
   * @returns once all listen
   * @throws {ConfigurationError} when the port cannot be had, or a worker cannot start; then none is left
   */
  async start(address: Address): Promise<RunningServer> {
    const { served, options, close } = this.#serving;
    // The port is held from the beginning, and let go when the first worker takes it.
    const holder = createServer((socket) => socket.destroy());
    const port = await listen(holder, address);
    const letGo = () => new Promise<void>((resolve) => void holder.close(() => resolve()));
    this.#seats = Array.from({ length: this.#count }, (_, i) => this.#seat(i + 1, port, letGo));
    const [first, ...others] = this.#seats;
    try {
      await first!.begin();
      await Promise.all(others.map((seat) => seat.begin()));
    } catch (error) {
      await Promise.allSettled([letGo(), this.stop()]);
      throw error;
    }
    const stop = new Stop({
      logger: served.logger,
      underWay: () => ({ workers: this.#count }),
      close,
      hurry: () => {
        for (const seat of this.#seats) void seat.ask("hurry");
        void served.runner.drain(0);
      },
    });
    const leaveSignals = options.handleSignals === false ? () => undefined : stop.onSignals();
    const url = urlOf(address.hostname, port);
    if (options.banner !== false) printBanner(served, url, this.#count);
    return {
      url,
      port,
      stopListening: async () => {
        leaveSignals();
        for (const seat of this.#seats) seat.retire();
        await Promise.all(this.#seats.map((seat) => seat.ask("stopListening")));
      },
    };
  }

  /**
   * Lets what each has under way end, and then the worker.
   *
   * @throws {Error} when one ended in another way; then all have ended too
   */
  async stop(): Promise<void> {
    const ends = await Promise.allSettled(this.#seats.map((seat) => seat.stop()));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  #seat(number: number, port: number, letGo: () => Promise<void>): Seat {
    const { id: osId, logger } = this.#serving.served;
    const place = { number, port, osId };
    const others = async () => {
      const asked = this.#seats.filter((_, i) => i + 1 !== number);
      const answers = await Promise.all(asked.map((seat) => seat.ask("metrics", undefined, metricsLimit)));
      return answers.filter((answer) => answer !== undefined);
    };
    return new Seat(number, () => new WorkerProcess(place, { port: letGo, others }, logger), logger);
  }
}
