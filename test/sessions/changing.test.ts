import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { send } from "../support/memories.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Sessions } from "../support/sessions.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let sessions: Sessions;

  beforeAll(async () => {
    server = await startServer({ db: engine.connect(await engine.createLocation()) });
    sessions = new Sessions(server.url);
  });
  afterAll(() => server.close());

  const say = async (body: object) => (await server.run({ stream: false, message: "hello", ...body })).json();

  test("a session is made with a name, a state and metadata, and a run finds them", async () => {
    const made = await sessions.create({
      session_id: "made",
      session_name: "Launch",
      agent_id: "copilot",
      user_id: "ada",
      session_state: { step: 1, odd: "nul \u0000" },
      metadata: { source: "widget" },
    });
    expect(made).toMatchObject({
      session_id: "made",
      session_name: "Launch",
      user_id: "ada",
      session_state: { step: 1, odd: "nul \u0000" },
      metadata: { source: "widget" },
      metrics: {},
      total_tokens: null,
      chat_history: [],
    });
    expect(await say({ session_id: "made", user_id: "ada" })).toMatchObject({ session_state: { step: 1 } });
    const got = await sessions.get("made");
    expect(got).toMatchObject({ session_name: "Launch", metadata: { source: "widget" } });
    expect(got.total_tokens).toBeGreaterThan(0);
    expect(got.metrics["total_tokens"]).toBe(got.total_tokens);
    expect(got.chat_history.map(({ role }) => role)).toEqual(["user", "assistant"]);
  });

  test("a session that was made for no agent is that of the first agent which runs in it", async () => {
    const post = (path: string, body: object) =>
      fetch(`${server.url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    expect((await post("/sessions", { session_id: "for-nobody" })).status).toBe(201);
    await server.run({ message: "hi", session_id: "for-nobody", stream: false });
    const found = await (await fetch(`${server.url}/sessions/for-nobody`)).json();
    expect(found).toMatchObject({ agent_id: "copilot" });
  });

  test("an id that is taken is a conflict, whosever it is, and nothing of the other is told", async () => {
    await sessions.create({ session_id: "taken", session_name: "Secret plans", user_id: "ada" });
    const answer = await send(server.url, "POST", "/sessions", { session_id: "taken", user_id: "eve" });
    expect(answer.status).toBe(409);
    const { detail } = await answer.json();
    expect(detail).toBe("Session with id 'taken' already exists. Use PATCH /sessions/taken to update it.");
    expect(await sessions.get("taken")).toMatchObject({ session_name: "Secret plans", user_id: "ada" });
  });

  test("of many who make the same session at once, one does", async () => {
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        sessions.status("POST", "/sessions", {
          session_id: "contested",
          user_id: `u${n}`,
          session_name: "x",
        }),
      ),
    );
    expect(made.toSorted()).toEqual([201, ...Array(19).fill(409)]);
  });

  test("a patch changes what it names, several at once, and leaves the rest", async () => {
    await say({ session_id: "patched", user_id: "ada", session_state: { a: 1 }, message: "first words" });
    const path = "/sessions/patched?user_id=ada";
    const before = await sessions.get("patched");
    expect(before).toMatchObject({ session_name: "first words", session_state: { a: 1 } });
    const all = {
      session_name: "P",
      session_state: { b: 2 },
      metadata: { z: 1 },
      summary: { summary: "short", topics: ["t"] },
    };
    const patched = await (await send(server.url, "PATCH", path, all)).json();
    expect(patched).toMatchObject({
      session_name: "P",
      session_state: { b: 2 },
      metadata: { z: 1 },
      session_summary: { summary: "short", topics: ["t"] },
      chat_history: before.chat_history,
    });
    expect(patched.session_state).toEqual({ b: 2 });
    const again = await (await send(server.url, "PATCH", path, { metadata: { y: 2 } })).json();
    expect(again).toMatchObject({ session_name: "P", session_state: { b: 2 }, metadata: { y: 2 } });
    expect(await (await send(server.url, "PATCH", path, {})).json()).toMatchObject({ session_name: "P" });
    expect(await sessions.runs("patched")).toHaveLength(1);
  });

  test("a new name is the one that is found, and no later message takes its place", async () => {
    await say({ session_id: "renamed", user_id: "rena", message: "zebra crossing" });
    const path = "/sessions/renamed/rename";
    expect(await sessions.status("POST", path, { session_name: "Okapi café" })).toBe(200);
    await say({ session_id: "renamed", user_id: "rena", message: "more" });
    expect((await sessions.get("renamed")).session_name).toBe("Okapi café");
    expect(await sessions.ids("user_id=rena&search=okapi")).toEqual(["renamed"]);
    expect(await sessions.status("POST", path, { session_name: "Tapir" })).toBe(200);
    expect(await sessions.ids("user_id=rena&search=okapi")).toEqual([]);
    expect(await sessions.ids("user_id=rena&search=tapir")).toEqual(["renamed"]);
  });

  test("a session without an owner becomes that of the first call that names a user, with its texts", async () => {
    await sessions.create({ session_id: "nobodys", session_name: "Lonely" });
    await say({ session_id: "nobodys", message: "walrus tusks" });
    expect(await sessions.status("GET", "/sessions/nobodys?user_id=ada")).toBe(404);
    expect(await sessions.ids("user_id=adopter&search=walrus")).toEqual([]);
    const patched = await send(server.url, "PATCH", "/sessions/nobodys?user_id=adopter", {
      metadata: { a: 1 },
    });
    expect(await patched.json()).toMatchObject({ user_id: "adopter", session_name: "Lonely" });
    expect(await sessions.ids("user_id=adopter&search=walrus")).toEqual(["nobodys"]);
    expect(await sessions.ids("user_id=adopter&search=lonely")).toEqual(["nobodys"]);
    expect(await sessions.status("PATCH", "/sessions/nobodys?user_id=eve", { session_name: "x" })).toBe(404);
  });

  test("what is another user's is not found, and stays as it is", async () => {
    await say({ session_id: "adas", user_id: "ada", message: "mine" });
    const before = await sessions.get("adas");
    const [{ run_id }] = (await sessions.runs("adas")) as [{ run_id: string }];
    for (const [method, path, body] of [
      ["GET", "/sessions/adas?user_id=eve"],
      ["PATCH", "/sessions/adas?user_id=eve", { session_name: "eve's" }],
      ["POST", "/sessions/adas/rename?user_id=eve", { session_name: "eve's" }],
      ["GET", "/sessions/adas/runs?user_id=eve"],
      ["GET", "/sessions/adas/run-previews?user_id=eve"],
      ["GET", `/sessions/adas/runs/${run_id}?user_id=eve`],
      ["POST", "/agents/copilot/sessions/adas/fork?user_id=eve"],
    ] as [string, string, object?][]) {
      expect(await sessions.status(method, path, body), `${method} ${path}`).toBe(404);
    }
    expect(await sessions.status("DELETE", "/sessions/adas?user_id=eve")).toBe(204);
    expect(await sessions.ids("user_id=eve")).toEqual([]);
    expect(await sessions.get("adas")).toEqual(before);
  });

  test.each([
    ["POST", "/sessions", { session_id: "bad\u0000id" }, 422, "session_id"],
    ["POST", "/sessions", { session_name: "a\u0000b" }, 422, "session_name"],
    ["POST", "/sessions", { session_name: "n".repeat(256) }, 422, "session_name"],
    ["POST", "/sessions", { session_state: [1] }, 422, "session_state"],
    ["POST", "/sessions", { metadata: "x" }, 422, "metadata"],
    ["POST", "/sessions", { sesion_name: "x" }, 422, "sesion_name"],
    ["POST", "/sessions", [], 422, "body"],
    ["POST", "/sessions", "{broken", 422, "body"],
    ["POST", "/sessions", { agent_id: "nobody" }, 404, "Agent"],
    ["POST", "/sessions", { team_id: "t" }, 404, "Team"],
    ["POST", "/sessions?type=team", {}, 404, "Team"],
    ["POST", "/sessions?type=robot", {}, 422, "type"],
    ["POST", "/sessions?db_id=other", {}, 404, "other"],
    ["PATCH", "/sessions/x", { summary: { topics: [] } }, 422, "summary"],
    ["PATCH", "/sessions/x", { session_name: " " }, 422, "session_name"],
    ["PATCH", "/sessions/x", { session_name: "x" }, 404, "x"],
    ["POST", "/sessions/x/rename", { session_name: "" }, 422, "session_name"],
    ["POST", "/sessions/x/rename", {}, 422, "session_name"],
    ["GET", "/sessions/x?type=workflow", undefined, 404, "Workflow"],
    ["GET", "/sessions/x%00", undefined, 422, "session_id"],
  ] as [string, string, unknown, number, string][])(
    "%s %s %j is %i",
    async (method, path, body, status, named) => {
      const answer =
        body === undefined ? await fetch(server.url + path) : await send(server.url, method, path, body);
      expect(answer.status).toBe(status);
      expect(JSON.stringify(await answer.json())).toContain(named);
    },
  );

  test("a body of another type, and one over the limit, are refused", async () => {
    const form = await fetch(`${server.url}/sessions`, {
      method: "POST",
      body: new URLSearchParams({ a: "1" }),
    });
    expect(form.status).toBe(415);
    const large = { session_state: { text: "x".repeat(1024 ** 2) } };
    expect(await sessions.status("POST", "/sessions", large)).toBe(413);
    expect(await sessions.status("PATCH", "/sessions/x", large)).toBe(413);
  });
});
