/**
 * Our server as it is measured: one agent with history, on PostgreSQL where `DATABASE_URL` is set, else on SQLite.
 *
 *   PORT=7777 AGENTOS_SQLITE_PATH=data/bench.db OPENAI_BASE_URL=http://127.0.0.1:9099/v1 \
 *     node --conditions=agentos-source bench/server.ts
 */
import { Agent, AgentOS, OpenAIResponses, PostgresDb, SqliteDb } from "agentos-ts";

const url = process.env.DATABASE_URL;
const db = url
  ? new PostgresDb({ url })
  : new SqliteDb({ path: process.env.AGENTOS_SQLITE_PATH ?? "data/bench.db" });

const agent = new Agent({
  id: "copilot",
  model: new OpenAIResponses({ id: "gpt-5.5" }),
  db,
  addHistoryToContext: true,
});

const traces = process.env.BENCH_TRACES !== "off";
const agentOS = new AgentOS({ agents: [agent], logLevel: "warn", traces });
await agentOS.serve({ port: Number(process.env.PORT ?? 7777), hostname: "127.0.0.1" });
