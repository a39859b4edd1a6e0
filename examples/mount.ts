/**
 * AgentOS inside an app that you have already: under a path of a Hono app, on a server of your own.
 *
 *   curl -X POST http://localhost:7777/agentos/agents/copilot/runs -F 'message=Hello' -F 'stream=false'
 */
import { serve } from "@hono/node-server";
import { Agent, AgentOS, databaseFromEnvironment, modelFromEnvironment } from "agentos-ts";
import { Hono } from "hono";

const copilot = new Agent({
  id: "copilot",
  model: modelFromEnvironment(),
  db: databaseFromEnvironment(),
});

const agentOS = new AgentOS({ agents: [copilot] });

const app = new Hono();
app.get("/", (c) => c.text("The product. Its agents are under /agentos."));
app.mount("/agentos", agentOS.getApp().fetch);

const server = serve(
  { fetch: app.fetch, hostname: process.env.HOST || "127.0.0.1", port: Number(process.env.PORT || 7777) },
  ({ port }) => console.log(`The product listens on http://127.0.0.1:${port}`),
);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, async () => {
    // First the runs under way, while their readers can still be answered; then the port.
    await agentOS.close();
    server.close();
  });
}
