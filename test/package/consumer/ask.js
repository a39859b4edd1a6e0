// What a user's own service does with a server: node ask.js URL MESSAGE
import { AgentOSClient, fold } from "agentos-ts/client";

const [baseUrl, message] = process.argv.slice(2);
const client = new AgentOSClient({ baseUrl });
const events = [];
for await (const event of client.agents.stream("copilot", message)) events.push(event);
const run = await client.runs.get("copilot", events[0].run_id);
console.log(JSON.stringify({ folded: fold(events).content, stored: run.content }));
