import type { DayMetrics, Metrics, MetricsRefresh, RefreshMetrics } from "./answers.ts";
import type { CallOptions } from "./options.ts";
import type { UserOptions } from "./sessions.ts";
import type { Transport } from "./transport.ts";

/** Which days are meant, both included. */
export interface MetricsOptions extends UserOptions {
  /** `2026-11-24`, in UTC. */
  startingDate?: string;
  endingDate?: string;
}

/** What was used, by day. */
export class MetricDays {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Runs, tokens, models and cost of each day with runs. */
  get({ signal, ...query }: MetricsOptions = {}): Promise<Metrics> {
    return this.#transport.json({ method: "GET", path: ["metrics"], query, signal });
  }

  /** Counts the runs that ended since the last time, and gives the days that changed. */
  refresh({ signal, ...query }: UserOptions = {}): Promise<DayMetrics[]> {
    const path = ["metrics", "refresh"];
    return this.#transport.json({ method: "POST", path, query, signal, repeatable: true });
  }

  /** The same without waiting for it: `refreshStatus` tells how it went. */
  refreshInBackground({ signal }: CallOptions = {}): Promise<RefreshMetrics> {
    const [path, query] = [["metrics", "refresh"], { background: true }];
    return this.#transport.json({ method: "POST", path, query, signal, repeatable: true });
  }

  /** How the last refresh went. */
  refreshStatus({ signal }: CallOptions = {}): Promise<MetricsRefresh> {
    return this.#transport.json({ method: "GET", path: ["metrics", "refresh", "status"], signal });
  }

  /** The server's process in the text format of Prometheus. */
  prometheus({ signal }: CallOptions = {}): Promise<string> {
    const request = { method: "GET", path: ["metrics", "prometheus"], signal } as const;
    return this.#transport.send(request, (response) => response.text());
  }
}
