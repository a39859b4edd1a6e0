import { Agent, AgentOS, EchoModel, principalOf, requireScope } from "agentos-ts";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { readFrames } from "../support/read-events.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { bearer, createIssuer, inSeconds, sign } from "../support/tokens.ts";

const issuer = createIssuer();
const authorization = { verificationKeys: issuer.pem };
const token = (scopes: string[], claims: object = {}) =>
  sign(issuer.privateKey, { sub: "ada", scopes, ...claims });

describe("routes of one's own", () => {
  let server: TestServer;
  let reader: Record<string, string>;
  let admin: Record<string, string>;
  beforeAll(async () => {
    server = await startServer({
      os: { authorization: { ...authorization, publicPaths: ["/open", "/assets/*"] } },
    });
    const app = server.os.getApp();
    app.get("/forgotten", (c) => c.text("secret"));
    app.all("/forgotten-too", (c) => c.text("secret"));
    app.use("/served/*", (c) => Promise.resolve(c.text("secret")));
    app.get("/reports/:id", requireScope("reports:read", { param: "id" }), (c) =>
      c.json({ user: principalOf(c).userId, scopes: principalOf(c).scopes }),
    );
    app.get("/reports", requireScope("reports:read"), (c) => c.text("reports"));
    app.get("/anybody", requireScope(), (c) => c.text("anybody"));
    app.use("/admin/*", requireScope("back-office:use"));
    app.post("/admin/things", (c) => c.text("thing"));
    app.post("/admin/others", requireScope("others:write"), (c) => c.text("other"));
    app.use("/agents/*", requireScope("reports:read"));
    app.get("/open", (c) => c.json(principalOf(c)));
    app.get("/assets/:name", (c) => c.text("asset"));
    app.get("/assets-too", (c) => c.text("secret"));
    app.get("/logged/*", async (_, next) => next());
    app.get("/logged/*", requireScope("reports:read"), (c) => c.text("logged"));
    app.use("/late/*", async (_, next) => next());
    app.post("/late/:id", requireScope("reports:read"), (c) => c.text("late"));
    // The page of an app of one page: it is asked for whatever no route before it has answered.
    app.get("*", requireScope(), (c) => c.text("page"));
    reader = bearer(await token(["reports:read"]));
    admin = bearer(await token(["agent_os:admin"]));
  });
  afterAll(() => server.close());

  const status = async (path: string, headers: Record<string, string> = {}, method = "GET") => {
    const answer = await fetch(server.url + path, { headers, method });
    expect(await answer.text()).not.toContain("secret");
    return answer.status;
  };

  test.each(["/forgotten", "/forgotten-too", "/served/x", "/assets-too"])(
    "%s says nothing of scopes, and is closed to everybody",
    async (path) => {
      expect(await status(path)).toBe(401);
      expect(await status(path, reader)).toBe(403);
      expect(await status(path, admin)).toBe(403);
      const answer = await fetch(server.url + path, { headers: admin });
      expect((await answer.json()).detail).toContain("requireScope");
    },
  );

  test("a route needs the scope that it says", async () => {
    expect(await status("/reports")).toBe(401);
    expect(await status("/reports", bearer(await token(["reports:7:read"])))).toBe(403);
    expect(await status("/reports", reader)).toBe(200);
    expect(await status("/reports", admin)).toBe(200);
    expect(await status("/reports/7", bearer(await token(["reports:7:read"])))).toBe(200);
    expect(await status("/reports/8", bearer(await token(["reports:7:read"])))).toBe(403);
    expect(await status("/reports/%37", bearer(await token(["reports:7:read"])))).toBe(200);
    const refused = await fetch(`${server.url}/reports`, { headers: bearer(await token([])) });
    expect((await refused.json()).detail).toContain("reports:read");
    expect(refused.headers.get("www-authenticate")).toContain('scope="reports:read"');
  });

  test("a route that is declared after all others opens none of them", async () => {
    const any = bearer(await token([]));
    expect(await status("/wherever", any)).toBe(200);
    for (const path of ["/forgotten", "/forgotten-too", "/served/x", "/assets-too"]) {
      expect(await status(path, any), path).toBe(403);
    }
    expect(await status("/logged/x", any)).toBe(403);
    expect(await status("/logged/x", reader)).toBe(200);
    expect(await status("/late/7", any, "POST")).toBe(403);
    expect(await status("/late/7", reader, "POST")).toBe(200);
    expect(await status("/agents", any)).toBe(403);
  });

  test("a route reads who calls", async () => {
    const answer = await fetch(`${server.url}/reports/7`, { headers: reader });
    expect(await answer.json()).toEqual({ user: "ada", scopes: ["reports:read"] });
  });

  test("a scope for all under a path holds there, beside what a route asks for", async () => {
    const office = bearer(await token(["back-office:use"]));
    expect(await status("/anybody", office)).toBe(200);
    expect(await status("/admin/things", office, "POST")).toBe(200);
    expect(await status("/admin/things", reader, "POST")).toBe(403);
    expect(await status("/admin/others", office, "POST")).toBe(403);
    const both = bearer(await token(["back-office:use", "others:write"]));
    expect(await status("/admin/others", both, "POST")).toBe(200);
  });

  test("what is said of others' paths opens none of ours", async () => {
    expect(await status("/agents/copilot", reader)).toBe(403);
  });

  test("public paths are open, and whoever calls one is nobody there", async () => {
    for (const headers of [{}, admin, bearer("garbage")]) {
      const answer = await fetch(`${server.url}/open`, { headers });
      expect(await answer.json()).toEqual({ scopes: [], unrestricted: false });
    }
    expect(await status("/assets/logo")).toBe(200);
    expect(await status("/assets/..%2fforgotten")).toBe(200);
  });

  test.each([
    "/open/",
    "//open",
    "/OPEN",
    "/health/../agents",
    "/assets/../agents",
    "/%61gents",
    "/agents/",
    "/agents;x",
    "/agents%00",
    "/assets%2f..%2fagents",
  ])("%s opens nothing", async (path) => {
    const answer = await fetch(server.url + path);
    expect([401, 404]).toContain(answer.status);
    expect(await answer.text()).not.toContain("copilot");
  });
});

describe("the server's own", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ os: { authorization: { ...authorization, cookie: true } } });
  });
  afterAll(() => server.close());
  const get = (path: string, init?: RequestInit) => fetch(server.url + path, init);

  test("a path that is unknown is 401 without a token, and 404 with one; another method is 405", async () => {
    expect((await get("/nothing")).status).toBe(401);
    const any = { headers: bearer(await token([])) };
    expect((await get("/nothing", any)).status).toBe(404);
    expect((await get("/agents", { ...any, method: "PUT" })).status).toBe(405);
    expect((await get("/agents", { method: "PUT" })).status).toBe(401);
  });

  test("the docs page and what it is made of need a token too", async () => {
    for (const path of ["/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"]) {
      expect((await get(path)).status).toBe(401);
      expect((await get(path, { headers: bearer(await token([])) })).status).toBe(200);
    }
  });

  test("HEAD is as closed as GET", async () => {
    expect((await get("/agents", { method: "HEAD" })).status).toBe(401);
    expect((await get("/agents", { method: "HEAD", headers: bearer(await token([])) })).status).toBe(403);
    expect(
      (await get("/agents", { method: "HEAD", headers: bearer(await token(["agents:read"])) })).status,
    ).toBe(200);
  });

  test("a preflight needs no token, and never allows credentials; OPTIONS by itself is closed", async () => {
    const preflight = { origin: "http://localhost:3000", "access-control-request-method": "POST" };
    const answer = await get("/agents/copilot/runs", { method: "OPTIONS", headers: preflight });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-credentials")).toBe(null);
    expect((await get("/agents", { method: "OPTIONS" })).status).toBe(401);
  });

  test("lists show what may be seen", async () => {
    const one = { headers: bearer(await token(["agents:copilot:read", "config:read"])) };
    const none = { headers: bearer(await token(["agents:other:read", "config:read"])) };
    const ids = async (path: string, init: RequestInit) => {
      const body = await (await get(path, init)).json();
      return (body.agents ?? body).map(({ id }: { id: string }) => id);
    };
    expect(await ids("/agents", one)).toEqual(["copilot"]);
    expect(await ids("/agents", none)).toEqual([]);
    expect(await ids("/config", one)).toEqual(["copilot"]);
    expect(await ids("/config", none)).toEqual([]);
    expect((await get("/agents/copilot", none)).status).toBe(403);
  });

  test("the document tells the scopes, and how it refuses", async () => {
    const { paths, components } = await (await get("/openapi.json")).json();
    expect(components.securitySchemes.token).toMatchObject({ type: "http", scheme: "bearer" });
    const { responses, security, description } = paths["/sessions"].get;
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(["200", "401", "403"]));
    expect(security).toEqual([{ token: [] }]);
    expect(description).toContain("`sessions:read`");
    expect(paths["/health"].get.security).toEqual([]);
    expect(Object.keys(paths["/health"].get.responses)).not.toContain("401");
  });

  test("no answer may be kept by a cache, nor be read by a page with credentials", async () => {
    const headers = { ...bearer(await token(["agents:read"])), origin: "http://localhost:3000" };
    const answer = await get("/agents", { headers });
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("access-control-allow-origin")).toBe("http://localhost:3000");
    expect(answer.headers.get("access-control-allow-credentials")).toBe(null);
  });

  test("a refusal does not tell what the server would take, and is written down", async () => {
    const stranger = await sign(createIssuer().privateKey, { sub: "eve", jti: "made-up" });
    const answer = await get("/sessions/7?token=in-the-query", { headers: bearer(stranger) });
    expect(await answer.json()).toEqual({
      detail: "Invalid token: Signature verification failed",
      request_id: expect.any(String),
    });
    await get("/sessions", { headers: bearer(await token([], { jti: "token-of-ada" })) });
    const admin = { headers: bearer(await token(["agent_os:admin"], { sub: "root" })) };
    const text = await (await get("/audit-log?outcome=denied", admin)).text();
    const { data } = JSON.parse(text);
    expect(data).toContainEqual(
      expect.objectContaining({
        status: 401,
        user_id: null,
        token_id: expect.stringMatching(/^sha256:[0-9a-f]{12}$/),
        path: "/sessions/7",
        address: "127.0.0.1",
        at: expect.any(String),
      }),
    );
    expect(data).toContainEqual(
      expect.objectContaining({
        status: 403,
        user_id: "ada",
        token_id: "token-of-ada",
        reason: expect.stringContaining("sessions:read"),
      }),
    );
    expect(text).not.toContain(stranger.slice(-30));
    expect(text).not.toContain("in-the-query");
  });

  test("refusals by the hundred are a few entries, and one that counts the others", async () => {
    const engine = engines[0]!;
    const location = await engine.createLocation();
    const own = await startServer({ db: engine.connect(location), os: { authorization } });
    for (let i = 0; i < 100; i++) expect((await fetch(`${own.url}/agents/${i}`)).status).toBe(401);
    const eve = { headers: bearer(await token([], { sub: "eve" })) };
    expect((await fetch(`${own.url}/sessions`, eve)).status).toBe(403);
    await own.close();
    const rows = await query<{ user_id: string | null; reason: string }>(
      engine,
      location,
      "SELECT user_id, reason FROM audit_log ORDER BY entry_id",
    );
    expect(rows).toHaveLength(62);
    expect(rows.filter(({ user_id }) => user_id === "eve")).toHaveLength(1);
    expect(rows.filter(({ reason }) => reason.startsWith("40 more refusals"))).toHaveLength(1);
    const plan = await query<{ detail: string }>(
      engine,
      location,
      "EXPLAIN QUERY PLAN SELECT * FROM audit_log WHERE user_id = 'eve' ORDER BY entry_id DESC LIMIT 20",
    );
    expect(plan.map(({ detail }) => detail)).toEqual([
      expect.stringContaining("USING INDEX audit_log_by_user (user_id=?)"),
    ]);
  });

  describe("a token in a cookie", () => {
    const cookie = async (scopes: string[], more: Record<string, string> = {}) => ({
      cookie: `theme=dark; access_token=${await token(scopes)}`,
      ...more,
    });
    const run = async (more: Record<string, string>) => {
      const answer = await get("/agents/copilot/runs", {
        method: "POST",
        headers: { ...(await cookie(["agents:run"], more)), "content-type": "application/json" },
        body: JSON.stringify({ message: "hi", stream: false }),
      });
      return answer.status;
    };

    test("reads as from a header", async () => {
      expect((await get("/agents", { headers: await cookie(["agents:read"]) })).status).toBe(200);
      expect((await get("/agents", { headers: await cookie([]) })).status).toBe(403);
      expect((await get("/agents", { headers: { cookie: "access_token=garbage" } })).status).toBe(401);
      const across = await cookie(["agents:read"], { "sec-fetch-site": "cross-site" });
      expect((await get("/agents", { headers: across })).status).toBe(200);
    });

    test("changes something for pages of this origin alone", async () => {
      const host = new URL(server.url).host;
      expect(await run({ "sec-fetch-site": "same-origin" })).toBe(200);
      expect(await run({ origin: `http://${host}` })).toBe(200);
      expect(await run({ origin: `http://${host}`, "sec-fetch-site": "cross-site" })).toBe(403);
      for (const more of [
        {},
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { origin: "https://evil.example" },
        { origin: "null" },
        { origin: `http://${host}.evil.example` },
        { origin: `http://evil.example/http://${host}` },
      ]) {
        expect(await run(more), JSON.stringify(more)).toBe(403);
      }
    });

    test("is not looked at where a header says something, nor where it is not switched on", async () => {
      const both = { ...(await cookie(["agents:read"])), ...bearer("garbage") };
      expect((await get("/agents", { headers: both })).status).toBe(401);
      const off = await startServer({ os: { authorization } });
      expect((await fetch(`${off.url}/agents`, { headers: await cookie(["agents:read"]) })).status).toBe(401);
      await off.close();
    });
  });
});

describe.each([
  ["route", (host: Hono, app: Hono) => host.route("/agentos", app)],
  ["mount", (host: Hono, app: Hono) => host.mount("/agentos", app.fetch)],
] as const)("in a host app by %s", (_, mount) => {
  test("it is as closed, for the agent that is named too", async () => {
    const agents = ["copilot", "other"].map((id) => new Agent({ id, model: new EchoModel() }));
    const os = new AgentOS({ agents, authorization, logLevel: "silent" });
    os.getApp().get("/forgotten", (c) => c.text("secret"));
    const host = new Hono();
    mount(host, os.getApp() as unknown as Hono);
    host.get("/own", (c) => c.text("the host's"));
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await host.request(path, { headers })).status;
    const one = bearer(await token(["agents:copilot:read"]));
    expect(await status("/agentos/health")).toBe(200);
    expect(await status("/agentos/agents")).toBe(401);
    expect(await status("/agentos/agents/copilot", one)).toBe(200);
    expect(await status("/agentos/agents/other", one)).toBe(403);
    expect(await status("/agentos/forgotten", one)).toBe(403);
    expect(await status("/agentos/nothing", one)).toBe(404);
    expect(await status("/own")).toBe(200);
    await os.close();
  });
});

test("who may see one agent sees of a shared session, and of its files, what is that agent's", async () => {
  const agents = ["copilot", "other"].map((id) => new Agent({ id, model: new EchoModel() }));
  const os = new AgentOS({ agents, authorization, logLevel: "silent" });
  const app = os.getApp();
  const ask = async (scope: string, path: string, init: RequestInit = {}) =>
    app.request(path, { ...init, headers: bearer(await token([scope])) });
  const form = new FormData();
  for (const [name, value] of Object.entries({ message: "hi", stream: "false", session_id: "s" })) {
    form.set(name, value);
  }
  form.set("files", new File(["notes"], "notes.txt", { type: "text/plain" }));
  const run = await (
    await ask("agents:other:run", "/agents/other/runs", { method: "POST", body: form })
  ).json();
  const stream = `/sessions/s/stream?last_event_id=${run.run_id}:0`;
  const seen = async (scope: string) => (await readFrames(await ask(scope, stream))).length;
  expect(await seen("agents:other:read")).toBeGreaterThan(0);
  expect(await seen("agents:copilot:read")).toBe(0);
  const media = `/media/${run.input.files[0].id}`;
  expect((await ask("agents:other:read", media)).status).toBe(200);
  expect((await ask("agents:copilot:read", media)).status).toBe(404);
  await os.close();
});

describe("an open stream", () => {
  test("ends with its token, and goes on with a new one", async () => {
    const server = await startServer({ os: { authorization } });
    const headers = async (seconds: number) => ({
      ...bearer(await token(["agents:run"], { exp: inSeconds(seconds) })),
      "content-type": "application/json",
    });
    const answer = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: await headers(2),
      body: JSON.stringify({ message: "[[tokens=60]] [[delay=60]]", session_id: "s" }),
    });
    const first = await readFrames(answer);
    expect(first.at(-1)?.event).not.toBe("RunCompleted");
    const { run_id } = first[0]!.data;
    const resumed = await fetch(`${server.url}/agents/copilot/runs/${run_id}/resume`, {
      headers: { ...(await headers(60)), "last-event-id": first.at(-1)!.id },
    });
    const rest = (await readFrames(resumed)).filter(({ id }) => id !== "");
    expect(rest.at(-1)?.event).toBe("RunCompleted");
    expect([...first, ...rest].filter(({ id }) => id !== "").map(({ id }) => Number(id))).toEqual(
      Array.from({ length: Number(rest.at(-1)?.id) + 1 }, (_, i) => i),
    );
    await server.close();
  });

  test("of a service account ends when that is revoked", async () => {
    const server = await startServer({ os: { authorization, drainTimeout: 0 } });
    const admin = { ...bearer(await token(["agent_os:admin"])), "content-type": "application/json" };
    const account = await (
      await fetch(`${server.url}/service-accounts`, {
        method: "POST",
        headers: admin,
        body: JSON.stringify({ name: "nightly", scopes: ["agents:run"] }),
      })
    ).json();
    const answer = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { ...bearer(account.token), "content-type": "application/json" },
      body: JSON.stringify({ message: "[[tokens=500]] [[delay=60]]" }),
    });
    const read = readFrames(answer);
    await fetch(`${server.url}/service-accounts/${account.id}`, { method: "DELETE", headers: admin });
    const events = await read;
    expect(events.at(-1)?.event).not.toBe("RunCompleted");
    await server.os.close();
    await server.model.close();
  });
});
