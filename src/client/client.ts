import { Agents } from "./agents.ts";
import { Media } from "./media.ts";
import { Memories } from "./memories.ts";
import { MetricDays } from "./metrics.ts";
import { type ClientOptions, settingsOf } from "./options.ts";
import { Queue } from "./queue.ts";
import { Runs } from "./runs.ts";
import { ServiceAccounts } from "./service-accounts.ts";
import { Sessions } from "./sessions.ts";
import { System } from "./system.ts";
import { Token } from "./token.ts";
import { Traces } from "./traces.ts";
import { Transport } from "./transport.ts";
import { Users } from "./users.ts";

/**
 * Calls an AgentOS over HTTP, from Node or a browser. Options are named in camelCase; answers are what is on the wire.
 *
 * @throws {ClientOptionError} when an option cannot work
 * @example
 * const client = new AgentOSClient({ baseUrl: "https://os.yourproduct.com", token: () => session.freshToken() });
 * for await (const event of client.agents.stream("copilot", "Summarize this thread", { sessionId: "thread-42" })) {
 *   if (event.event === "RunContent") show(event.content);
 * }
 */
export class AgentOSClient {
  readonly agents: Agents;
  readonly runs: Runs;
  readonly sessions: Sessions;
  readonly memories: Memories;
  readonly users: Users;
  readonly media: Media;
  readonly traces: Traces;
  readonly metrics: MetricDays;
  readonly queue: Queue;
  readonly serviceAccounts: ServiceAccounts;
  readonly system: System;

  constructor(options: ClientOptions) {
    const transport = new Transport(settingsOf(options), new Token(options.token));
    this.agents = new Agents(transport);
    this.runs = new Runs(transport);
    this.sessions = new Sessions(transport);
    this.memories = new Memories(transport);
    this.users = new Users(transport);
    this.media = new Media(transport);
    this.traces = new Traces(transport);
    this.metrics = new MetricDays(transport);
    this.queue = new Queue(transport);
    this.serviceAccounts = new ServiceAccounts(transport);
    this.system = new System(transport);
  }
}
