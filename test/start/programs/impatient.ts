import { Agent, AgentOS, databaseFromEnvironment, modelFromEnvironment } from "agentos-ts";

/** A server that gives its runs a tenth of a second when it stops. */
const copilot = new Agent({ id: "copilot", model: modelFromEnvironment(), db: databaseFromEnvironment() });
await new AgentOS({ agents: [copilot], drainTimeout: 0.1 }).serve();
