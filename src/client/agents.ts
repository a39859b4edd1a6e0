import type { AcceptedRun, Agent, Run } from "./answers.ts";
import { repeatableBy } from "./idempotency.ts";
import type { CallOptions } from "./options.ts";
import { type RunOptions, runBody } from "./run-fields.ts";
import { RunStream } from "./run-stream.ts";
import type { ApiRequest, Transport } from "./transport.ts";

/** What a stream takes beside what every run takes. */
export interface StreamOptions extends RunOptions {
  /** Stored before it is sent, and taken over by another server when this one dies. */
  background?: boolean;
  /** The run is cancelled when its caller goes away, a connection that is cut included. */
  cancelOnDisconnect?: boolean;
}

/** Agents, and new runs of them. */
export class Agents {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The agents that the server runs. */
  list({ signal }: CallOptions = {}): Promise<Agent[]> {
    return this.#transport.json({ method: "GET", path: ["agents"], signal });
  }

  /** One agent. @throws {ApiError} 404 when there is none */
  get(agentId: string, { signal }: CallOptions = {}): Promise<Agent> {
    return this.#transport.json({ method: "GET", path: ["agents", agentId], signal });
  }

  /**
   * Runs an agent and waits for its answer. A run that fails is answered too: its `status` is `error`, and its `content`
   * says why.
   *
   * @example
   * const run = await client.agents.run("copilot", "Summarize this thread", { sessionId: "thread-42" });
   * if (run.status === "completed") show(run.content);
   */
  run(
    agentId: string,
    message: string,
    options: RunOptions & { cancelOnDisconnect?: boolean } = {},
  ): Promise<Run> {
    return this.#transport.json(newRun(agentId, { message, ...options, stream: false }));
  }

  /**
   * Runs an agent and gives its events as they come. A connection that is cut is taken up again by itself; each event
   * comes once.
   *
   * @example
   * for await (const event of client.agents.stream("copilot", "Summarize this thread")) {
   *   if (event.event === "RunContent") show(event.content);
   * }
   */
  stream(agentId: string, message: string, options: StreamOptions = {}): RunStream {
    const begin = newRun(agentId, { message, ...options, stream: true });
    const { userId, signal } = options;
    return new RunStream(this.#transport, { agentId, begin, after: -1, userId, signal });
  }

  /**
   * Runs an agent in the background: answers as soon as the run is stored. `runs.get` polls it, `runs.resume` follows it.
   *
   * @throws {ApiError} 429 when too many wait; its `retryAfter` says when to come back
   */
  runInBackground(agentId: string, message: string, options: RunOptions = {}): Promise<AcceptedRun> {
    return this.#transport.json(newRun(agentId, { message, ...options, background: true, stream: false }));
  }
}

function newRun(
  agentId: string,
  { idempotencyKey, files, signal, ...fields }: StreamOptions & { message: string; stream: boolean },
): ApiRequest {
  return {
    method: "POST",
    path: ["agents", agentId, "runs"],
    body: runBody(fields, files),
    signal,
    ...repeatableBy(idempotencyKey),
  };
}
