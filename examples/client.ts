/**
 * The typed client: asks a server that runs, and shows the answer as it comes. Ctrl+C stops the run.
 *
 *   npm start
 *   node --conditions=agentos-source examples/client.ts "Summarize this thread"
 */
import { AgentOSClient, fold, type RunEvent } from "agentos-ts/client";

const client = new AgentOSClient({ baseUrl: process.env["AGENTOS_URL"] ?? "http://localhost:7777" });

const message = process.argv[2] ?? "Hello";
const stream = client.agents.stream("copilot", message, { userId: "sarah@acme.com", sessionId: "thread-42" });
process.once("SIGINT", () => void stream.cancel());

const events: RunEvent[] = [];
for await (const event of stream) {
  events.push(event);
  if (event.event === "RunContent") process.stdout.write(event.content);
}

const { status, content, metrics } = fold(events);
if (status === "error") process.stdout.write(String(content));
console.log(`\n${status}, ${metrics.total_tokens} tokens`);
