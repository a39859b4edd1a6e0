import { Agent, AgentOS, EchoModel, PostgresDb } from "agentos-ts";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { proxyOf, type TcpProxy } from "../support/tcp-proxy.ts";

const postgres = engines[1]!;

describe("while PostgreSQL is away", () => {
  let proxy: TcpProxy;
  let direct: string;
  let server: TestServer;

  beforeEach(async () => {
    direct = await postgres.createLocation();
    const through = await proxyOf(direct);
    proxy = through.proxy;
    server = await startServer({ db: new PostgresDb({ url: through.url }) });
  });
  afterEach(async () => {
    proxy.resume();
    await server.close();
    await proxy.close();
  });

  const get = (path: string) => fetch(server.url + path);

  test("readiness is 503 with Retry-After and liveness is 200, and readiness comes back with the database", async () => {
    expect((await get("/readyz")).status).toBe(200);
    expect((await get("/health?ready=true")).status).toBe(200);
    proxy.stop();
    for (const path of ["/readyz", "/health?ready=true"]) {
      const answer = await get(path);
      expect(answer.status).toBe(503);
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await answer.json()).toMatchObject({
        detail: expect.any(String),
        request_id: expect.any(String),
      });
    }
    expect((await get("/health")).status).toBe(200);
    proxy.resume();
    expect((await get("/readyz")).status).toBe(200);
    expect((await get("/health?ready=true")).status).toBe(200);
  });

  test.each([
    ["a run", (s: TestServer) => s.run({ message: "hi", stream: false })],
    ["a run with a file", (s: TestServer) => withFile(s)],
    ["a stored run", (s: TestServer) => fetch(`${s.url}/agents/copilot/runs/run_1`)],
    ["a list of runs", (s: TestServer) => fetch(`${s.url}/agents/copilot/runs?session_id=s`)],
    ["a file", (s: TestServer) => fetch(`${s.url}/media/m`)],
  ])("%s is answered 503 with Retry-After, and works again afterwards", async (_, ask) => {
    const before = (await ask(server)).status;
    proxy.stop();
    const answer = await ask(server);
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(JSON.stringify(await answer.json())).not.toMatch(/ECONN|127\.0\.0\.1|at /);
    proxy.resume();
    expect((await ask(server)).status).toBe(before);
  });

  test("connections that PostgreSQL ends in the middle of statements do not end the server", async () => {
    const blocker = new pg.Client({ connectionString: direct, options: "-c search_path=agentos" });
    await blocker.connect();
    await server.run({ message: "first", session_id: "s", stream: false });
    await blocker.query("BEGIN");
    await blocker.query("LOCK TABLE runs, media, sessions IN ACCESS EXCLUSIVE MODE");
    const asked = [
      server.run({ message: "hi", session_id: "s", stream: false }),
      withFile(server),
      get("/agents/copilot/runs?session_id=s"),
    ];
    // Inside its transaction the first one would see the statements of when it first looked.
    const watcher = new pg.Client(direct);
    await watcher.connect();
    await waitingRequests(watcher);
    await watcher.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agentos' AND datname = current_database()",
    );
    await blocker.query("ROLLBACK");
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
    // Each pooled connection that was ended costs one answer at most.
    while ((await server.run({ message: "again", session_id: "s", stream: false })).status !== 200);
    await Promise.all([blocker.end(), watcher.end()]);
  });
});

test("a connection that died without a word is given up: the next sign of life goes over a new one", {
  timeout: 30_000,
}, async () => {
  const { proxy, url } = await proxyOf(await postgres.createLocation());
  const db = new PostgresDb({ url });
  await db.open();
  await db.leases().beat("node", 60_000);
  proxy.freeze();
  await expect(db.leases().beat("node", 60_000)).rejects.toThrow("The database does not answer");
  await db.leases().beat("node", 60_000);
  proxy.stop();
  await db.close();
  await proxy.close();
});

test("an app that is served by another server is not ready while its database is away, and then is", async () => {
  const { proxy, url } = await proxyOf(await postgres.createLocation());
  proxy.stop();
  const os = new AgentOS({
    agents: [new Agent({ id: "copilot", model: new EchoModel(), db: new PostgresDb({ url }) })],
  });
  const app = os.getApp();
  for (const path of ["/readyz", "/health?ready=true", "/agents/copilot/runs?session_id=s"]) {
    const answer = await app.request(path);
    expect([path, answer.status]).toEqual([path, 503]);
    expect(await answer.text()).not.toContain("127.0.0.1");
  }
  proxy.resume();
  expect((await app.request("/readyz")).status).toBe(200);
  await os.close();
  await proxy.close();
});

function withFile({ url }: TestServer): Promise<Response> {
  const form = new FormData();
  form.set("message", "look");
  form.set("stream", "false");
  form.set("files", new Blob(["text"], { type: "text/plain" }), "a.txt");
  return fetch(`${url}/agents/copilot/runs`, { method: "POST", body: form });
}

/** Resolves once two runs that are to be accepted, and a list, wait for a lock. What the server does by itself waits too. */
async function waitingRequests(client: pg.Client): Promise<void> {
  while (true) {
    const { rows } = await client.query<{ query: string }>(
      "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
    );
    const accepted = rows.filter(({ query }) => /insert into \S*"sessions"/i.test(query));
    const listed = rows.some(({ query }) => /^select .*"runs".*order by "queue_seq" desc/is.test(query));
    if (accepted.length === 2 && listed) return;
  }
}
