/**
 * A copilot for your product: one agent over HTTP, that remembers each conversation.
 *
 *   curl -X POST http://localhost:7777/agents/copilot/runs \
 *     -F 'message=Summarize this thread' -F 'user_id=sarah@acme.com' -F 'session_id=thread-42' -F 'stream=false'
 */
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
