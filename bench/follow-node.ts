/**
 * A server of ours that remembers when its commits were done: `GET /commits` tells. With `CONCURRENCY=0` it does no background
 * run itself. Started by `follow.ts`.
 */
import { Agent, AgentOS, EchoModel, PostgresDb } from "../src/index.ts";

/** A commit: a run, the last index of its log that is stored, and when its answer was there (Unix milliseconds). */
export type Commit = [runId: string, index: number, at: number];

const commits: Commit[] = [];

class TimedDb extends PostgresDb {
  override async writeLogs(...[writes, options]: Parameters<PostgresDb["writeLogs"]>) {
    const lost = await super.writeLogs(writes, options);
    const at = performance.timeOrigin + performance.now();
    for (const { runId, firstIndex, events } of writes) {
      if (events.length > 0) commits.push([runId, firstIndex + events.length - 1, at]);
    }
    return lost;
  }
}

const words = Number(process.env.WORDS ?? 250);
const answer = Array.from({ length: words }, (_, i) => `word${i}`).join(" ");
const agent = new Agent({
  id: "copilot",
  model: new EchoModel({ delay: Number(process.env.DELAY ?? 20), respond: () => answer }),
  db: new TimedDb(),
});
const agentOS = new AgentOS({
  agents: [agent],
  logLevel: "warn",
  queue: { concurrency: Number(process.env.CONCURRENCY ?? 32) },
});
agentOS.getApp().get("/commits", (c) => c.json(commits.splice(0)));
await agentOS.serve({ port: Number(process.env.PORT ?? 7777), hostname: "127.0.0.1" });
