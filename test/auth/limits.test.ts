import type { AgentOptions, Database, Requirement, UsageOptions } from "agentos-ts";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Limits } from "../../src/db/limits.ts";
import { openPrincipal } from "../../src/db/principal.ts";
import { attributes as a } from "../../src/telemetry/attributes.ts";
import { type Engine, engines } from "../support/engines.ts";
import { readUntil } from "../support/read-events.ts";
import { wipe } from "../support/run-tools.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { bearer, createIssuer, sign } from "../support/tokens.ts";

const issuer = createIssuer();
const ofUser = async (sub: string) =>
  bearer(await sign(issuer.privateKey, { sub, scopes: ["agents:run", "agents:read", "sessions:read"] }));

const servers: TestServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((one) => one.close()));
});

/** Servers that share a database: two nodes on PostgreSQL, one server on SQLite, for no two can have the same file. */
async function nodes(
  engine: Engine,
  limits: UsageOptions,
  agent: Partial<AgentOptions> = {},
): Promise<TestServer[]> {
  const location = await engine.createLocation();
  const started = await Promise.all(
    Array.from({ length: engine.name === "postgres" ? 2 : 1 }, () =>
      startServer({
        db: engine.connect(location),
        agent,
        os: { limits, authorization: { verificationKeys: issuer.pem }, drainTimeout: 0 },
      }),
    ),
  );
  servers.push(...started);
  return started;
}

const run = (server: TestServer, who: Record<string, string>, body: object = {}) =>
  fetch(`${server.url}/agents/copilot/runs`, {
    method: "POST",
    headers: { ...who, "content-type": "application/json" },
    body: JSON.stringify({ message: "hi", stream: false, ...body }),
  });
const list = (server: TestServer, who: Record<string, string>) =>
  fetch(`${server.url}/agents`, { headers: who });

const today = () => Math.floor(Date.now() / 86_400_000);
/** The tokens that are counted for somebody today. */
const spent = (server: TestServer, whose: string) =>
  server.os.db.serverStore().limits.tokens(`tokens:${whose}`, today());

/** Starts a run that lasts, and waits until it is under way. */
async function lasting(server: TestServer, who: Record<string, string>, body: object = {}) {
  const answer = await run(server, who, { message: "[[tokens=900]] [[delay=50]]", stream: true, ...body });
  if (answer.status !== 200) return { status: answer.status, answer, end: async () => undefined };
  const reader = answer.body!.getReader();
  const text = await readUntil(reader, "RunContent");
  const runId = /"run_id":"([^"]+)"/.exec(text)![1]!;
  const cancel = () =>
    fetch(`${server.url}/agents/copilot/runs/${runId}/cancel`, { method: "POST", headers: who });
  return { status: 200, answer, reader, runId, end: cancel };
}

describe.each(engines)("on $name", (engine) => {
  test("requests a minute are counted for each user, on all nodes together", async () => {
    const all = await nodes(engine, { perUser: { requestsPerMinute: 6 } });
    const [ada, eve] = [await ofUser("ada"), await ofUser("eve")];
    const answers = [];
    for (let i = 0; i < 6; i++) answers.push(await list(all[i % all.length]!, ada));
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200));
    expect(answers[0]!.headers.get("ratelimit-policy")).toBe('"user";q=6;w=60');
    expect(answers.map(({ headers }) => /r=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1])).toEqual([
      "5",
      "4",
      "3",
      "2",
      "1",
      "0",
    ]);
    const refused = await list(all.at(-1)!, ada);
    expect(refused.status).toBe(429);
    const wait = Number(refused.headers.get("retry-after"));
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(10);
    expect(refused.headers.get("ratelimit")).toMatch(/^"user";r=0;t=\d+$/);
    expect((await refused.json()).detail).toContain("6 a minute");
    for (const one of all) expect((await list(one, eve)).status).toBe(200);
    expect((await fetch(`${all[0]!.url}/health`)).status).toBe(200);
  });

  test("requests a minute are counted for each client, before its tokens are looked at", async () => {
    const [server] = await nodes(engine, { perIp: { requestsPerMinute: 3 } });
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await list(server!, bearer("garbage"))).status);
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    expect((await list(server!, await ofUser("ada"))).status).toBe(429);
    expect((await fetch(`${server!.url}/health`)).status).toBe(200);
    expect((await fetch(`${server!.url}/agents/copilot/runs/health`)).status).toBe(429);
  });

  test("many at once do not get past the limit", async () => {
    const all = await nodes(engine, { perUser: { requestsPerMinute: 5 } });
    const ada = await ofUser("ada");
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => list(all[i % all.length]!, ada)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(25);
  });

  test("runs at once are counted until they end", async () => {
    const all = await nodes(engine, { perUser: { concurrentRuns: 2 } });
    const [ada, eve] = [await ofUser("ada"), await ofUser("eve")];
    const first = await lasting(all[0]!, ada);
    const second = await lasting(all.at(-1)!, ada);
    for (const one of all) {
      const refused = await run(one, ada);
      expect(refused.status).toBe(429);
      expect(refused.headers.get("retry-after")).toBe("1");
    }
    expect((await run(all[0]!, eve)).status).toBe(200);
    // A reader that goes away ends no run: its place stays taken.
    await second.reader!.cancel();
    expect((await run(all[0]!, ada)).status).toBe(429);
    await first.end();
    await expect.poll(async () => (await run(all.at(-1)!, ada)).status).toBe(200);
    await second.end();
  });

  test("runs in background count as long as they wait or run, on whatever node", async () => {
    const all = await nodes(engine, { perUser: { concurrentRuns: 2 } });
    const [ada, eve] = [await ofUser("ada"), await ofUser("eve")];
    const long = { message: "[[tokens=900]] [[delay=50]]", background: true, session_id: "s" };
    // Of one session: the second waits for the first.
    const accepted = [await run(all[0]!, ada, long), await run(all.at(-1)!, ada, long)];
    expect(accepted.map(({ status }) => status)).toEqual([202, 202]);
    const [first, second] = await Promise.all(accepted.map((one) => one.json()));
    for (const one of all) {
      expect((await run(one, ada)).status).toBe(429);
      expect((await run(one, ada, { background: true })).status).toBe(429);
    }
    expect((await run(all[0]!, eve)).status).toBe(200);
    for (const { run_id } of [second, first]) {
      await fetch(`${all[0]!.url}/agents/copilot/runs/${run_id}/cancel`, { method: "POST", headers: ada });
    }
    await expect.poll(async () => (await run(all.at(-1)!, ada)).status).toBe(200);
  });

  test("runs in background take a place and tokens of their client until they end, on whatever node", async () => {
    const all = await nodes(engine, { perIp: { concurrentRuns: 1, tokensPerDay: 100_000 } });
    const [ada, eve] = [await ofUser("ada"), await ofUser("eve")];
    const long = { message: "[[tokens=900]] [[delay=50]]", background: true };
    const { run_id } = await (await run(all[0]!, ada, long)).json();
    for (const one of all) {
      expect((await run(one, eve)).status).toBe(429);
      expect((await run(one, eve, { background: true })).status).toBe(429);
    }
    await fetch(`${all[0]!.url}/agents/copilot/runs/${run_id}/cancel`, { method: "POST", headers: ada });
    await expect.poll(async () => (await run(all.at(-1)!, eve)).status).toBe(200);
    const before = await spent(all[0]!, "ip:127.0.0.1");
    await expect
      .poll(async () => (await run(all[0]!, ada, { message: "[[tokens=40]]", background: true })).status)
      .toBe(202);
    await expect.poll(() => spent(all[0]!, "ip:127.0.0.1")).toBeGreaterThanOrEqual(before + 40);
  });

  test("a run that was paused is counted once", async () => {
    const limits = { perIp: { tokensPerDay: 100_000 }, perUser: { tokensPerDay: 100_000 } };
    const [server] = await nodes(engine, limits, { tools: [wipe] });
    const ada = await ofUser("ada");
    const paused = await (await run(server!, ada, { message: '[[tool=wipe {"path":"/"}]]' })).json();
    const tools = paused.requirements.map(({ tool_execution: { tool_call_id } }: Requirement) => ({
      tool_call_id,
      confirmed: true,
    }));
    const continued = await fetch(`${server!.url}/agents/copilot/runs/${paused.run_id}/continue`, {
      method: "POST",
      headers: { ...ada, "content-type": "application/json" },
      body: JSON.stringify({ tools, stream: false }),
    });
    const { total_tokens } = (await continued.json()).metrics;
    for (const key of ["ip:127.0.0.1", "user:ada"]) {
      await expect.poll(() => spent(server!, key)).toBeGreaterThanOrEqual(total_tokens);
      expect(await spent(server!, key), key).toBe(total_tokens);
    }
  });

  test("a run that is cancelled while it is paused is counted for its user", async () => {
    const [server] = await nodes(engine, { perUser: { tokensPerDay: 100_000 } }, { tools: [wipe] });
    const ada = await ofUser("ada");
    const paused = await (await run(server!, ada, { message: '[[tool=wipe {"path":"/"}]]' })).json();
    expect(paused.status).toBe("paused");
    await fetch(`${server!.url}/agents/copilot/runs/${paused.run_id}/cancel`, {
      method: "POST",
      headers: ada,
    });
    await expect.poll(() => spent(server!, "user:ada")).toBe(paused.metrics.total_tokens);
  });

  test("what asks a model after a run is counted for the run's user", async () => {
    const agent = { autoNameSessions: true, enableSessionSummaries: true };
    const [server] = await nodes(engine, { perUser: { tokensPerDay: 100_000 } }, agent);
    const message = 'tell [[say={"summary":"tea","topics":[]}]]';
    const { run_id } = await (await run(server!, await ofUser("ada"), { message })).json();
    const { traces } = server!.os.db.storeFor(openPrincipal);
    // The run, its turn of the model, and one more for the title and for the summary.
    const spans = await vi.waitFor(async () => {
      const { traces: found } = await traces.listWithSpans({ runId: run_id }, { limit: 1, offset: 0 });
      expect(found[0]?.spans).toHaveLength(6);
      return found[0]!.spans;
    });
    const used = spans
      .filter(({ name }) => name.startsWith("chat "))
      .map(({ attributes }) => {
        const { [a.inputTokens]: input, [a.outputTokens]: output } = attributes;
        return Number(input) + Number(output);
      });
    expect(used).toHaveLength(3);
    const all = used.reduce((sum, tokens) => sum + tokens, 0);
    await expect.poll(() => spent(server!, "user:ada")).toBe(all);
  });

  test("what asks a model beside runs is counted and refused like them", async () => {
    const limit = 100_000;
    const both = { enableSessionSummaries: true, enableAgenticMemory: true };
    const [server] = await nodes(engine, { perUser: { tokensPerDay: limit } }, both);
    const ada = bearer(
      await sign(issuer.privateKey, { sub: "ada", scopes: ["agents:run", "memories:write"] }),
    );
    const post = (path: string, body: object = {}) =>
      fetch(server!.url + path, {
        method: "POST",
        headers: { ...ada, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const message = `tell [[say={"summary":"tea","topics":[]}]] ${"and tell more of it ".repeat(20)}`;
    for (let i = 0; i < 2; i++) await run(server!, ada, { session_id: "s", message });
    for (let i = 0; i < 2; i++) await post("/memories", { memory: "[[say=tea]] and a long text about tea" });
    for (const [path, body, expected] of [
      ["/agents/copilot/sessions/s/compact", {}, { compacted: true }],
      ["/optimize-memories", { user_id: "ada", apply: false }, { memories_before: 2 }],
    ] as const) {
      const before = await spent(server!, "user:ada");
      const answer = await post(path, body);
      expect([answer.status, await answer.json()], path).toEqual([200, expect.objectContaining(expected)]);
      await expect.poll(() => spent(server!, "user:ada")).toBeGreaterThan(before);
    }
    await server!.os.db.serverStore().limits.addTokens("tokens:user:ada", today(), limit);
    expect((await post("/agents/copilot/sessions/s/compact")).status).toBe(429);
    expect((await post("/optimize-memories", { user_id: "ada", apply: false })).status).toBe(429);
  });

  test("a run that is refused for another reason gives its place back", async () => {
    const [server] = await nodes(engine, { perUser: { concurrentRuns: 1, concurrentStreams: 1 } });
    const [ada, eve] = [await ofUser("ada"), await ofUser("eve")];
    expect((await run(server!, eve, { session_id: "eves" })).status).toBe(200);
    for (let i = 0; i < 3; i++) {
      expect((await run(server!, ada, { session_id: "eves", stream: true })).status).toBe(404);
    }
    await expect.poll(async () => (await run(server!, ada)).status).toBe(200);
  });

  test("streams at once are counted until they end, or their reader goes away", async () => {
    const all = await nodes(engine, { perUser: { concurrentStreams: 1 } });
    const ada = await ofUser("ada");
    const first = await lasting(all[0]!, ada);
    expect((await lasting(all.at(-1)!, ada)).status).toBe(429);
    const resume = () => fetch(`${all[0]!.url}/agents/copilot/runs/${first.runId}/resume`, { headers: ada });
    expect((await resume()).status).toBe(429);
    expect((await run(all[0]!, ada)).status).toBe(200);
    await first.reader!.cancel();
    await expect
      .poll(async () => {
        const answer = await resume();
        await answer.body?.cancel();
        return answer.status;
      })
      .toBe(200);
    await first.end();
  });

  test("tokens a day are counted when a run ends, and the next run is refused", async () => {
    const all = await nodes(engine, { perUser: { tokensPerDay: 20 } });
    const [ada, eve] = [await ofUser("ada"), await ofUser("eve")];
    expect((await run(all[0]!, ada, { message: "[[tokens=40]]" })).status).toBe(200);
    await expect.poll(async () => (await run(all.at(-1)!, ada)).status).toBe(429);
    const refused = await run(all[0]!, ada);
    expect((await refused.json()).detail).toContain("tokens");
    const untilMidnight = 86_400 - ((Date.now() / 1000) % 86_400);
    expect(Math.abs(Number(refused.headers.get("retry-after")) - untilMidnight)).toBeLessThan(5);
    expect((await list(all[0]!, ada)).status).toBe(200);
    expect((await run(all[0]!, eve)).status).toBe(200);
  });
});

describe("places on PostgreSQL", () => {
  const engine = engines.find(({ name }) => name === "postgres")!;
  let location: string;
  let db: Database;
  let limits: Limits;
  beforeAll(async () => {
    location = await engine.createLocation();
    db = engine.connect(location);
    await db.open();
    limits = db.serverStore().limits;
  });
  afterAll(() => db.close());
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
  const ask = <TRow>(sql: string) => query<TRow>(engine, location, sql);
  const rows = async (key: string) =>
    (await ask<{ held_until: string }>(`SELECT held_until FROM limit_slots WHERE limit_key = '${key}'`)).map(
      ({ held_until }) => Number(held_until),
    );

  test("a place that could not be counted is given back", async () => {
    const failure = new Error("the runs cannot be counted");
    await expect(limits.hold("a", 1, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(await rows("a")).toEqual([]);
  });

  test("a place that could not be given back is over by itself, while others are held on", async () => {
    await ask(`
      CREATE FUNCTION stay() RETURNS trigger AS 'BEGIN RAISE ''not now''; END' LANGUAGE plpgsql;
      CREATE TRIGGER stay BEFORE DELETE ON limit_slots FOR EACH ROW WHEN (OLD.limit_key = 'stuck')
      EXECUTE FUNCTION stay()`);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const release = await limits.hold("held", 1);
    const stuck = await limits.hold("stuck", 1);
    stuck!();
    await expect(limits.hold("stuck", 1)).resolves.toBeUndefined();
    const before = { held: await rows("held"), stuck: await rows("stuck") };
    expect(before.stuck.length).toBeGreaterThan(0);
    vi.advanceTimersByTime(20_000);
    await expect.poll(async () => (await rows("held"))[0]).toBeGreaterThan(before.held[0]!);
    expect(await rows("stuck")).toEqual(before.stuck);
    release!();
    await ask("DROP TRIGGER stay ON limit_slots");
  });

  test("what is over is swept by whatever is counted", async () => {
    let later = 0;
    const now = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => now() + later);
    for (const count of [
      async () => (await limits.hold("another", 1))!(),
      () => limits.addTokens("tokens", Math.floor(Date.now() / 86_400_000), 1),
    ]) {
      await ask("INSERT INTO limit_slots VALUES ('1', 'over', 'a process that is gone', 0)");
      later += 11 * 60_000;
      await count();
      await expect.poll(() => rows("over")).toEqual([]);
    }
  });
});

describe("the address of a client", () => {
  const ask = (server: TestServer, forwarded: string) =>
    fetch(`${server.url}/agents`, { headers: { "x-forwarded-for": forwarded } });

  test("is what the proxies before the server saw, and nothing that the client wrote", async () => {
    const server = await startServer({
      os: { limits: { perIp: { requestsPerMinute: 1 } }, trustedProxies: 1 },
    });
    servers.push(server);
    expect((await ask(server, "203.0.113.7")).status).toBe(200);
    expect((await ask(server, "198.51.100.1, 203.0.113.7")).status).toBe(429);
    expect((await ask(server, "203.0.113.8")).status).toBe(200);
    // One household has a /64 to itself.
    expect((await ask(server, "2001:db8:1:2::7")).status).toBe(200);
    expect((await ask(server, "2001:db8:1:2:3:4:5:6")).status).toBe(429);
    expect((await ask(server, "2001:db8:1:3::7")).status).toBe(200);
  });

  test("is the connection's where no proxy is trusted", async () => {
    const server = await startServer({ os: { limits: { perIp: { requestsPerMinute: 1 } } } });
    servers.push(server);
    expect((await ask(server, "203.0.113.7")).status).toBe(200);
    expect((await ask(server, "203.0.113.8")).status).toBe(429);
  });
});

test.each([
  [{ perUser: { requestsPerMinute: 0 } }, /limits.perUser: requestsPerMinute must be/],
  [{ perUser: { requests: 5 } }, /no option "requests"/],
  [{ everybody: {} }, /no option "everybody"/],
])("limits that cannot be end the start: %j", async (limits, words) => {
  await expect(startServer({ os: { limits: limits as UsageOptions } })).rejects.toThrow(words);
});
