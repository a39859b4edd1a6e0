import type { AcceptedRun, Job, JobPage, QueueNode, QueueStats } from "./answers.ts";
import type { CallOptions } from "./options.ts";
import type { PageOptions } from "./page.ts";
import type { Transport } from "./transport.ts";

/** Which background runs a list holds. */
export interface JobListOptions extends PageOptions {
  /** All ended, or none. Default: those that have not ended. */
  status?: Job["state"] | readonly Job["state"][];
  agentId?: string;
  sessionId?: string;
  userId?: string;
}

/** Background runs and the servers that do them, for operators. */
export class Queue {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** How many wait, are under way, and have ended in the last 24 hours. */
  stats({ signal }: CallOptions = {}): Promise<QueueStats> {
    return this.#transport.json({ method: "GET", path: ["queue", "stats"], signal });
  }

  /** A page of background runs: what has not ended in the order of the queue; what has, the last one first. */
  jobs({ signal, status, ...query }: JobListOptions = {}): Promise<JobPage> {
    const states = status && [status].flat().join(",");
    return this.#transport.json({
      method: "GET",
      path: ["queue", "jobs"],
      query: { status: states, ...query },
      signal,
    });
  }

  /** One background run, by the run's id. */
  job(runId: string, { signal }: CallOptions = {}): Promise<Job> {
    return this.#transport.json({ method: "GET", path: ["queue", "jobs", runId], signal });
  }

  /** Has a failed run done again: a run of its own goes on where it failed. @throws {ApiError} 409 when it did not fail */
  requeue(runId: string, { signal }: CallOptions = {}): Promise<AcceptedRun> {
    return this.#transport.json({ method: "POST", path: ["queue", "jobs", runId, "requeue"], signal });
  }

  /** The servers that share the database, each with its lease. */
  nodes({ signal }: CallOptions = {}): Promise<QueueNode[]> {
    return this.#transport.json({ method: "GET", path: ["queue", "nodes"], signal });
  }
}
