import { Agent, AgentOS, EchoModel, SqliteDb } from "agentos-ts";
import { HTTPException } from "hono/http-exception";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const get = (path: string, init?: RequestInit) => fetch(server.url + path, init);

test("a route answers, whether it was added before or after the first request", async () => {
  const app = server.os.getApp();
  app.get("/early", (c) => c.text("early"));
  expect(await (await get("/early")).text()).toBe("early");
  app.post("/late/:id", async (c) => c.json({ id: c.req.param("id"), body: await c.req.json() }));
  const answer = await get("/late/7", { method: "POST", body: '{"a":1}' });
  expect(await answer.json()).toEqual({ id: "7", body: { a: 1 } });
});

test("a route can run an agent", async () => {
  server.os.getApp().post("/webhooks/stripe", async (c) => {
    const run = await server.agent.run(`Process ${JSON.stringify(await c.req.json())}`, { userId: "system" });
    return c.json({ ok: true, response: run.content });
  });
  const answer = await get("/webhooks/stripe", { method: "POST", body: '{"type":"paid"}' });
  expect(await answer.json()).toMatchObject({
    ok: true,
    response: expect.stringContaining('{"type":"paid"}'),
  });
});

test("a route that throws is 500, and what it threw stays in the server", async () => {
  server.os.getApp().get("/throws", () => {
    throw new Error("password is hunter2");
  });
  const answer = await get("/throws", { headers: { origin: "http://localhost:3000" } });
  expect(answer.status).toBe(500);
  expect(answer.headers.get("access-control-allow-origin")).toBe("http://localhost:3000");
  const text = await answer.text();
  expect(JSON.parse(text)).toEqual({ detail: "Internal server error", request_id: expect.any(String) });
  expect(text).not.toContain("hunter2");
});

test("a route that throws something that is no error is 500 as well, and the server lives on", async () => {
  server.os.getApp().get("/throws-text", () => Promise.reject(new Error("")));
  expect((await get("/throws-text")).status).toBe(500);
  expect((await get("/health")).status).toBe(200);
});

test("the status and text of an HTTPException are kept", async () => {
  server.os.getApp().get("/teapot", () => {
    throw new HTTPException(418, { message: "I am a teapot" });
  });
  const answer = await get("/teapot");
  expect(answer.status).toBe(418);
  expect(await answer.json()).toEqual({ detail: "I am a teapot", request_id: expect.any(String) });
});

test("the response that an HTTPException brings is kept, and carries the CORS headers", async () => {
  server.os.getApp().get("/own", () => {
    throw new HTTPException(409, { res: new Response("mine", { status: 409, headers: { "x-mine": "1" } }) });
  });
  const answer = await get("/own", { headers: { origin: "http://localhost:3000" } });
  expect([answer.status, await answer.text(), answer.headers.get("x-mine")]).toEqual([409, "mine", "1"]);
  expect(answer.headers.get("access-control-allow-origin")).toBe("http://localhost:3000");
});

test("a route that makes something of options that cannot work is 500, and they stay in the server", async () => {
  server.os.getApp().get("/wrong-options", () => {
    new Agent({ id: "other", model: new EchoModel(), toolCallLimit: -1 });
    throw new Error("not reached");
  });
  const answer = await get("/wrong-options");
  expect([answer.status, await answer.json()]).toEqual([
    500,
    { detail: "Internal server error", request_id: expect.any(String) },
  ]);
});

test("a custom route under another method is 405 and names its own", async () => {
  server.os.getApp().put("/only-put", (c) => c.text("put"));
  const answer = await get("/only-put");
  expect(answer.status).toBe(405);
  expect(answer.headers.get("allow")).toContain("PUT");
});

test("middleware that is added later guards the routes that come after it", async () => {
  const app = server.os.getApp();
  app.use("/guarded/*", async (c, next) => (c.req.header("x-key") === "k" ? next() : c.text("no", 401)));
  app.get("/guarded/page", (c) => c.text("yes"));
  expect((await get("/guarded/page")).status).toBe(401);
  expect((await get("/guarded/page", { headers: { "x-key": "k" } })).status).toBe(200);
});

test("a database that cannot be opened is 503, and where it is stays in the server", async () => {
  const db = new SqliteDb({ path: "/dev/null/agentos.db" });
  const os = new AgentOS({
    agents: [new Agent({ id: "copilot", model: new EchoModel() })],
    db,
    logLevel: "silent",
  });
  const answer = await os.getApp().request("/sessions");
  expect(answer.status).toBe(503);
  expect(await answer.text()).not.toContain("/dev/null");
  await os.close();
});
