import { type Requirement, tool } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { countRows } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { bearer, createIssuer, sign } from "../support/tokens.ts";

/** Two users, every route that takes an id, every id of the other: it is not there, and nothing changes. */

const everything = [
  "agents:read",
  "agents:run",
  ...["sessions", "memories", "users", "metrics"].flatMap((family) =>
    ["read", "write", "delete"].map((action) => `${family}:${action}`),
  ),
  "traces:read",
  "config:read",
];
const issuer = createIssuer();

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let location: string;
  let ada: Record<string, string>;
  let eve: Record<string, string>;
  let ids: Record<string, string>;
  let document: { paths: Record<string, Record<string, unknown>> };

  const send = async (who: Record<string, string>, method: string, path: string, body?: unknown) => {
    const answer = await fetch(server.url + path, {
      method,
      headers: { ...who, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const isJson = answer.headers.get("content-type")?.includes("application/json");
    return { status: answer.status, text, json: isJson ? JSON.parse(text) : undefined };
  };

  /** The trace of a run, once it is written. */
  const traceOf = async (runId: string) => {
    const read = async () => (await send(ada, "GET", `/traces?run_id=${runId}`)).json.data[0];
    return vi.waitUntil(read, { timeout: 20_000, interval: 100 });
  };

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({
      db: engine.connect(location),
      agent: { enableAgenticMemory: true, enableSessionSummaries: true },
      os: { authorization: { verificationKeys: issuer.pem } },
    });
    ada = bearer(await sign(issuer.privateKey, { sub: "ada", scopes: everything }));
    eve = bearer(await sign(issuer.privateKey, { sub: "eve", scopes: everything }));
    const form = new FormData();
    for (const [name, value] of Object.entries({
      message: "adas words",
      stream: "false",
      session_id: "adas",
    })) {
      form.set(name, value);
    }
    form.set("files", new File(["adas notes"], "notes.txt", { type: "text/plain" }));
    const run = await (
      await fetch(`${server.url}/agents/copilot/runs`, { method: "POST", headers: ada, body: form })
    ).json();
    const memory = await send(ada, "POST", "/memories", { memory: "adas tea", topics: ["adas"] });
    ids = {
      agent_id: "copilot",
      session_id: "adas",
      run_id: run.run_id,
      media_id: run.input.files[0].id,
      memory_id: memory.json.memory_id,
      user_id: "ada",
      message_index: "0",
      trace_id: (await traceOf(run.run_id)).trace_id,
    };
    document = await (await fetch(`${server.url}/openapi.json`)).json();
  });
  afterAll(() => server.close());

  const bodies: Record<string, unknown> = {
    "patch /sessions/{session_id}": { session_name: "eves" },
    "post /sessions/{session_id}/rename": { session_name: "eves" },
    "post /agents/{agent_id}/runs/{run_id}/continue": { regenerate: true, stream: false },
    "patch /memories/{memory_id}": { memory: "eves", user_id: "ada" },
  };
  /** Not a user's: what it is about is everybody's, or the administrators'. */
  const shared = ["get /agents/{agent_id}", "post /agents/{agent_id}/runs", "get /agents/{agent_id}/runs"];
  const isForAdministrators = (path: string) => /^\/(?:service-accounts|queue)\//.test(path);

  test("whatever takes an id of another user's says that it is not there, and changes nothing", async () => {
    const before = await countRows(engine, location);
    const known = (await send(ada, "GET", "/users/ada/export")).text;
    let asked = 0;
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) {
        const name = `${method} ${path}`;
        if (!path.includes("{") || shared.includes(name) || isForAdministrators(path)) continue;
        const filled = path.replace(/\{(\w+)\}/g, (_, parameter: string) => {
          const id = ids[parameter];
          if (id === undefined) throw new Error(`${name}: no id for ${parameter}. Add one.`);
          return id;
        });
        for (const query of ["", "?user_id=ada", "?session_id=adas&user_id=ada"]) {
          const answer = await send(eve, method.toUpperCase(), filled + query, bodies[name]);
          asked++;
          const at = `${name}${query}`;
          if (name === "delete /users/{user_id}") {
            expect(answer.status, at).toBe(200);
            expect(Object.values(answer.json), at).toEqual([0, 0, 0, 0, 0, 0]);
          } else {
            expect(answer.status, at).toBe(method === "delete" ? 204 : 404);
          }
          expect(answer.text, at).not.toMatch(/adas (?:words|tea|notes)/);
        }
      }
    }
    expect(asked).toBeGreaterThan(50);
    const gone = { session_ids: ["adas"], session_types: ["agent"] };
    expect((await send(eve, "DELETE", "/sessions", gone)).status).toBe(204);
    expect((await send(eve, "DELETE", "/sessions?user_id=ada", gone)).status).toBe(204);
    const memories = { memory_ids: [ids["memory_id"]], user_id: "ada" };
    expect((await send(eve, "DELETE", "/memories", memories)).status).toBe(204);
    expect(await countRows(engine, location)).toEqual(before);
    expect((await send(ada, "GET", "/users/ada/export")).text).toBe(known);
    // And its owner finds all of it.
    for (const path of [`/sessions/${ids["session_id"]}`, `/media/${ids["media_id"]}`, "/users/ada/export"]) {
      expect((await send(ada, "GET", path)).status, path).toBe(200);
    }
  });

  test.each([
    "/sessions?user_id=ada",
    "/sessions?search=adas&user_id=ada",
    "/sessions?session_name=adas",
    "/memories?user_id=ada",
    "/memories?search_content=tea&user_id=ada",
    "/memories?topics=adas",
    "/memory_topics?user_id=ada",
    "/user_memory_stats?user_id=ada",
    "/agents/copilot/runs?session_id=adas&user_id=ada",
    "/traces?user_id=ada",
    "/traces?session_id=adas",
    "/trace_session_stats?user_id=ada",
  ])("the list %s shows a user its own alone", async (path) => {
    const answer = await send(eve, "GET", path);
    expect(answer.status).toBe(200);
    expect(answer.json.data ?? answer.json).toEqual([]);
  });

  test("a run belongs to the token's user, whatever the body says", async () => {
    const body = { message: "hi", stream: false, user_id: "ada", session_id: "eves" };
    const run = await send(eve, "POST", "/agents/copilot/runs", body);
    expect(run.json).toMatchObject({ user_id: "eve", session_id: "eves" });
    expect((await send(ada, "GET", "/sessions/eves")).status).toBe(404);
    const memory = await send(eve, "POST", "/memories", { memory: "cake", user_id: "ada" });
    expect(memory.json).toMatchObject({ user_id: "eve" });
    const session = await send(eve, "POST", "/sessions", { user_id: "ada", session_id: "eves2" });
    expect(session.json).toMatchObject({ user_id: "eve" });
    await send(eve, "DELETE", "/users/eve");
  });

  test("a session of another user cannot be run into, and nothing is written", async () => {
    const before = await countRows(engine, location);
    for (const user_id of [undefined, "ada"]) {
      const body = { message: "hi", stream: false, session_id: "adas", user_id };
      expect((await send(eve, "POST", "/agents/copilot/runs", body)).status).toBe(404);
    }
    expect((await send(eve, "POST", "/sessions", { session_id: "adas" })).status).toBe(409);
    expect(await countRows(engine, location)).toEqual(before);
  });

  test("a key of another user is a key of one's own, and a background run is its user's", async () => {
    const keyed = async (who: Record<string, string>, body: object) => {
      const answer = await fetch(`${server.url}/agents/copilot/runs`, {
        method: "POST",
        headers: { ...who, "content-type": "application/json", "idempotency-key": "the-same" },
        body: JSON.stringify({ message: "hi", background: true, ...body }),
      });
      return { status: answer.status, json: await answer.json() };
    };
    const adas = await keyed(ada, { session_id: "adas" });
    const eves = await keyed(eve, { session_id: "adas2", user_id: "ada" });
    expect([adas.status, eves.status]).toEqual([202, 202]);
    expect(eves.json.run_id).not.toBe(adas.json.run_id);
    const path = `/agents/copilot/runs/${adas.json.run_id}`;
    for (const [method, rest] of [
      ["GET", ""],
      ["POST", "/cancel"],
      ["GET", "/resume"],
      ["POST", "/resume"],
    ] as const) {
      expect((await send(eve, method, path + rest)).status, rest).toBe(404);
    }
    await expect.poll(async () => (await send(ada, "GET", path)).json.status).toBe("completed");
    await expect
      .poll(async () => (await send(eve, "GET", `/agents/copilot/runs/${eves.json.run_id}`)).json)
      .toMatchObject({ status: "completed", user_id: "eve" });
    await send(eve, "DELETE", "/users/eve");
  });

  test("a token for one session reaches that session alone", async () => {
    const confined = bearer(
      await sign(issuer.privateKey, { sub: "ada", scopes: everything, session_id: "only" }),
    );
    expect((await send(confined, "GET", "/sessions/adas")).status).toBe(404);
    expect((await send(confined, "GET", `/agents/copilot/runs/${ids["run_id"]}`)).status).toBe(404);
    expect((await send(confined, "GET", `/media/${ids["media_id"]}`)).status).toBe(404);
    const body = { message: "hi", stream: false, session_id: "adas" };
    expect((await send(confined, "POST", "/agents/copilot/runs", body)).json).toMatchObject({
      session_id: "only",
      user_id: "ada",
    });
    const listed = await send(confined, "GET", "/sessions");
    expect(listed.json.data.map((one: { session_id: string }) => one.session_id)).toEqual(["only"]);
    expect((await send(confined, "GET", "/users/ada/export")).status).toBe(404);
    await send(ada, "DELETE", "/sessions/only");
  });

  test("a token without a user reaches nobody's data", async () => {
    const nobody = bearer(await sign(issuer.privateKey, { scopes: everything }));
    for (const path of ["/sessions", "/memories", `/media/${ids["media_id"]}`, "/users/ada/export"]) {
      expect((await send(nobody, "GET", path)).status, path).toBe(403);
    }
    const run = await send(nobody, "POST", "/agents/copilot/runs", { message: "hi", stream: false });
    expect(run).toMatchObject({ status: 403, json: { detail: expect.stringContaining("user identity") } });
    expect((await send(nobody, "GET", "/agents")).status).toBe(200);
  });

  test("an administrator sees all, and acts for whom it names", async () => {
    const admin = bearer(await sign(issuer.privateKey, { sub: "root", scopes: ["agent_os:admin"] }));
    expect((await send(admin, "GET", "/sessions/adas")).json).toMatchObject({ user_id: "ada" });
    expect((await send(admin, "GET", "/sessions?user_id=ada")).json.meta.total_count).toBe(1);
    const body = { message: "hi", stream: false, session_id: "adas" };
    expect((await send(admin, "POST", "/agents/copilot/runs", body)).status).toBe(404);
    const run = await send(admin, "POST", "/agents/copilot/runs", { ...body, user_id: "ada" });
    expect(run.json).toMatchObject({ user_id: "ada", session_id: "adas" });
    const own = await send(admin, "POST", "/agents/copilot/runs", { message: "hi", stream: false });
    expect(own.json).toMatchObject({ user_id: "root" });
    const log = await send(admin, "GET", "/audit-log?outcome=allowed&user_id=root");
    expect(log.json.data).toContainEqual(
      expect.objectContaining({ acted_for: "ada", path: "/agents/copilot/runs", status: 200 }),
    );
  });

  test("users:impersonate acts for one user at a time, and it is written down", async () => {
    const scopes = [...everything, "users:impersonate"];
    const desk = bearer(await sign(issuer.privateKey, { sub: "desk", scopes, jti: "desk-token" }));
    expect((await send(desk, "GET", "/sessions")).json.data).toEqual([]);
    expect((await send(desk, "GET", "/sessions/adas")).status).toBe(404);
    expect((await send(desk, "GET", "/sessions/adas?user_id=ada")).json).toMatchObject({ user_id: "ada" });
    expect((await send(desk, "GET", "/sessions/adas?user_id=eve")).status).toBe(404);
    const memory = await send(desk, "POST", "/memories", { memory: "by the desk", user_id: "ada" });
    expect(memory.json).toMatchObject({ user_id: "ada" });
    await send(desk, "DELETE", `/memories/${memory.json.memory_id}?user_id=ada`);
    const admin = bearer(await sign(issuer.privateKey, { scopes: ["agent_os:admin"] }));
    const log = await send(admin, "GET", "/audit-log?user_id=desk");
    expect(log.json.data).toContainEqual(
      expect.objectContaining({ acted_for: "ada", token_id: "desk-token", outcome: "allowed" }),
    );
  });

  test("system prompts are for administrators", async () => {
    const path = `/agents/copilot/runs/${ids["run_id"]}`;
    const admin = bearer(await sign(issuer.privateKey, { scopes: ["agent_os:admin"] }));
    const roles = async (who: Record<string, string>) =>
      (await send(who, "GET", path)).json.messages.map((one: { role: string }) => one.role);
    expect(await roles(ada)).not.toContain("system");
    expect(await roles(admin)).toContain("system");
    // Nor are they found in what is recorded of the model's turns.
    const trace = `/traces/${ids["trace_id"]}`;
    const prompt = "You remember things about the user";
    expect((await send(admin, "GET", trace)).text).toContain(prompt);
    const turn = /"id":"([0-9a-f]{16})","name":"chat/.exec((await send(ada, "GET", trace)).text)![1];
    const body = { filter: { op: "EQ", key: "session_id", value: "adas" } };
    for (const answer of [
      await send(ada, "GET", trace),
      await send(ada, "GET", `${trace}?span_id=${turn}`),
      await send(ada, "POST", "/traces/search", body),
    ]) {
      expect(answer.status).toBe(200);
      expect(answer.text).toContain("adas words");
      expect(answer.text).not.toContain(prompt);
    }
    expect((await send(eve, "POST", "/traces/search", body)).json.data).toEqual([]);
  });
});

test("without isolation the scopes still hold, and all data is everybody's", async () => {
  const server = await startServer({
    os: { authorization: { verificationKeys: issuer.pem, userIsolation: false } },
  });
  const token = async (sub: string) => bearer(await sign(issuer.privateKey, { sub, scopes: everything }));
  const json = { "content-type": "application/json" };
  const run = await (
    await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { ...(await token("ada")), ...json },
      body: JSON.stringify({ message: "hi", stream: false, user_id: "eve", session_id: "s" }),
    })
  ).json();
  expect(run.user_id).toBe("ada");
  expect((await fetch(`${server.url}/sessions/s`, { headers: await token("eve") })).status).toBe(200);
  await server.close();
});

test.each(engines)(
  "a paused run goes on with what its continuing caller may do too, on $name",
  async (engine) => {
    const seen: (readonly string[])[] = [];
    const act = tool({
      name: "act",
      description: "Does what the scopes allow.",
      inputSchema: z.object({}),
      requiresConfirmation: true,
      execute: (_, { scopes }) => {
        seen.push(scopes);
        return "done";
      },
    });
    const server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [act] },
      os: { authorization: { verificationKeys: issuer.pem } },
    });
    const of = async (sub: string, scopes: string[]) =>
      bearer(await sign(issuer.privateKey, { sub, scopes }));
    const admin = await of("root", ["agent_os:admin", "agents:run", "agents:copilot:read"]);
    const alice = await of("alice", ["agents:run", "agents:read"]);
    const runs = `${server.url}/agents/copilot/runs`;
    const post = async (who: Record<string, string>, path: string, body: object) => {
      const headers = { ...who, "content-type": "application/json" };
      const answer = await fetch(runs + path, { method: "POST", headers, body: JSON.stringify(body) });
      return answer.json();
    };
    const paused = async (who: Record<string, string>) => {
      const run = await post(who, "", { message: "[[tool=act {}]]", stream: false, user_id: "alice" });
      const decided = run.requirements.map((one: Requirement) => ({
        tool_call_id: one.tool_execution.tool_call_id,
        confirmed: true,
      }));
      return { path: `/${run.run_id}/continue`, runId: run.run_id, tools: decided };
    };
    const first = await paused(admin);
    await post(alice, first.path, { tools: first.tools, stream: false });
    const second = await paused(admin);
    await post(alice, second.path, { tools: second.tools, background: true });
    await expect
      .poll(async () => (await (await fetch(`${runs}/${second.runId}`, { headers: alice })).json()).status)
      .toBe("completed");
    // Whoever may do more gives nothing of it.
    const third = await paused(alice);
    await post(admin, third.path, { tools: third.tools, stream: false, user_id: "alice" });
    const narrowed = ["agents:run", "agents:copilot:read"];
    expect(seen).toEqual([narrowed, narrowed, ["agents:run", "agents:read"]]);
    await server.close();
  },
);
