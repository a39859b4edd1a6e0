import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { name: "Copilot", description: "Helps." },
      os: { name: "Acme OS", description: "Agents of Acme.", version: "2.3.4" },
    });
  });
  afterAll(() => server.close());

  const get = async (path: string) => (await fetch(server.url + path)).json();

  test("the root tells where to go on, and each place is there", async () => {
    const home = await get("/");
    expect(home).toMatchObject({ name: "Acme OS", id: "acme-os", description: "Agents of Acme." });
    for (const place of [home.docs, home.openapi, home.health]) {
      expect((await fetch(new URL(place, `${server.url}/`))).status).toBe(200);
    }
  });

  test("liveness tells since when the server is up", async () => {
    const health = await get("/health");
    expect(health).toMatchObject({ status: "ok" });
    expect(Number.isNaN(Date.parse(health.instantiated_at))).toBe(false);
  });

  test("readiness is asked in two ways", async () => {
    expect(await get("/readyz")).toEqual({ status: "ready" });
    expect(await get("/health?ready=true")).toMatchObject({ status: "ok" });
    expect(await get("/health?ready=false")).toMatchObject({ status: "ok" });
    expect((await fetch(`${server.url}/health?ready=perhaps`)).status).toBe(422);
  });

  test("info counts what is served", async () => {
    expect(await get("/info")).toMatchObject({
      os_id: "acme-os",
      name: "Acme OS",
      os_version: "2.3.4",
      agent_count: 1,
      team_count: 0,
      workflow_count: 0,
    });
  });

  test("config names the database, the models and the agents", async () => {
    const db = engine.name === "sqlite" ? "sqlite" : "postgres";
    expect(await get("/config")).toMatchObject({
      os_id: "acme-os",
      databases: [db],
      available_models: [{ id: "gpt-5.5", provider: expect.stringContaining("OpenAI") }],
      agents: [{ id: "copilot", name: "Copilot", db_id: db }],
      teams: [],
      workflows: [],
    });
  });

  test("no page of the server tells a key or a password", async () => {
    for (const path of ["/", "/info", "/config", "/health", "/agents", "/agents/copilot", "/openapi.json"]) {
      const text = await (await fetch(server.url + path)).text();
      expect(text).not.toMatch(/apiKey|api_key|postgresql:|\/tmp\//);
    }
  });

  test("agents are listed and found", async () => {
    const agents = await get("/agents");
    expect(agents).toMatchObject([
      {
        id: "copilot",
        name: "Copilot",
        description: "Helps.",
        model: { model: "gpt-5.5" },
        tools: { tools: [] },
      },
    ]);
    expect(await get("/agents/copilot")).toEqual(agents[0]);
    expect(await get("/teams")).toEqual([]);
    expect(await get("/workflows")).toEqual([]);
  });
});
