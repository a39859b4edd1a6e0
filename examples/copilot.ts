import { Agent, AgentOS, databaseFromEnvironment, modelFromEnvironment } from "agentos-ts";

const copilot = new Agent({
  id: "copilot",
  name: "Copilot",
  instructions: "You are a helpful assistant. Answer briefly.",
  model: modelFromEnvironment(),
  db: databaseFromEnvironment(),
  addHistoryToContext: true,
});

const agentOS = new AgentOS({ name: "Copilot", agents: [copilot] });

await agentOS.serve();
