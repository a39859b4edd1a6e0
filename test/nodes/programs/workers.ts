/** Serves a copilot, by as many processes as the settings say. Each of them says so. */
import cluster from "node:cluster";
import { existsSync } from "node:fs";
import { Agent, AgentOS, databaseFromEnvironment, modelFromEnvironment } from "agentos-ts";

const who = cluster.isPrimary ? "primary" : "worker";
// While there is such a file, no worker comes to serve.
if (!cluster.isPrimary && existsSync(process.env["TEST_NO_WORKERS"] ?? "")) process.exit(3);

const copilot = new Agent({ id: "copilot", model: modelFromEnvironment(), db: databaseFromEnvironment() });
const agentOS = new AgentOS({ agents: [copilot] });

process.on("SIGUSR2", async () => {
  await agentOS.close();
  console.log(`${who} ${process.pid} has closed`);
});

const { url } = await agentOS.serve();
console.log(`${who} ${process.pid} serves ${url}`);
