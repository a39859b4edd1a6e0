/**
 * What the choice of a router costs. Over our real table of routes, each of which answers at once: Hono's default router,
 * TrieRouter, and the default router with the table mounted apart, behind a host app that takes routes at any time. A
 * figure is the routing, a middleware and the making of an empty answer.
 *
 *     node --conditions=agentos-source bench/router.ts [rounds]
 */
import { Agent, AgentOS, EchoModel } from "agentos-ts";
import { Hono } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { format } from "./report.ts";
import { median } from "./stats.ts";

const rounds = Number(process.argv[2] ?? 9);
const answersPerRound = 20_000;

const requests = [
  ["POST", "/agents/copilot/runs"],
  ["GET", "/agents/copilot/runs/run_1"],
  ["GET", "/agents/copilot/runs/run_1/resume"],
  ["GET", "/sessions/thread-42"],
  ["GET", "/health"],
] as const;

const agent = new Agent({ id: "copilot", model: new EchoModel() });
const routes = new AgentOS({ agents: [agent], logLevel: "silent" })
  .getApp()
  .routes.filter(({ method }) => method !== "ALL");

function fill(app: Hono): Hono {
  app.use((_, next) => next());
  for (const { method, path } of routes) app.on(method, path, (c) => c.body(null, 204));
  return app;
}

function mountedApart(): Hono {
  const host = new Hono({ router: new TrieRouter() });
  host.get("/webhooks/stripe", (c) => c.body(null, 204));
  host.mount("/", fill(new Hono()).fetch);
  return host;
}

const ways: Record<string, Hono> = {
  "default router": fill(new Hono()),
  TrieRouter: fill(new Hono({ router: new TrieRouter() })),
  "default router, mounted apart": mountedApart(),
};

async function answersPerSecond(app: Hono, count: number): Promise<number> {
  // One each, as a server gets them: a request that is mounted again and again gathers followers of its signal.
  const sent = Array.from({ length: count }, (_, i) => {
    const [method, path] = requests[i % requests.length]!;
    return new Request(`http://localhost${path}`, { method });
  });
  const begin = performance.now();
  for (const request of sent) {
    const { status } = await app.fetch(request);
    if (status !== 204) throw new Error(`${request.method} ${request.url} answered ${status}`);
  }
  return (count * 1000) / (performance.now() - begin);
}

for (const app of Object.values(ways)) await answersPerSecond(app, answersPerRound / 4);
const figures = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (const [name, app] of Object.entries(ways)) {
    figures.get(name)!.push(await answersPerSecond(app, answersPerRound));
  }
}
const [first] = figures.values();
console.log(`${routes.length} routes, median of ${rounds} rounds\n`);
for (const [name, ofWay] of figures) {
  const ratio = median(ofWay.map((figure, round) => figure / first![round]!));
  console.log(
    `${name.padEnd(32)}${format(median(ofWay)).padStart(10)} answers/s   × ${ratio.toFixed(2)}   ` +
      `${format(1e6 / median(ofWay))} µs each`,
  );
}
