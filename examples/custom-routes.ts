/**
 * Routes of your own beside those of AgentOS: a webhook that calls the agent, and a page with a chat widget.
 *
 *   curl -X POST http://localhost:7777/webhooks/stripe \
 *     -H 'Content-Type: application/json' -d '{"type":"invoice.paid","amount":4200}'
 *   open http://localhost:7777/widget
 */
import { readFile } from "node:fs/promises";
import { Agent, AgentOS, databaseFromEnvironment, modelFromEnvironment } from "agentos-ts";

const copilot = new Agent({
  id: "copilot",
  model: modelFromEnvironment(),
  db: databaseFromEnvironment(),
  addHistoryToContext: true,
});

const agentOS = new AgentOS({ agents: [copilot] });
const app = agentOS.getApp();

app.post("/webhooks/stripe", async (c) => {
  const event = await c.req.json();
  const run = await copilot.run(`Process Stripe event: ${JSON.stringify(event)}`, { userId: "system" });
  return c.json({ ok: true, response: run.content });
});

app.get("/widget", async (c) => c.html(await readFile(new URL("widget.html", import.meta.url), "utf8")));

await agentOS.serve();

// Routes may be added while it serves, too.
app.get("/version", (c) => c.json({ version: "2026.1" }));
