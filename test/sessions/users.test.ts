import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { remember } from "../support/memories.ts";
import { countRows } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Sessions } from "../support/sessions.ts";

interface Line {
  type: "session" | "run" | "memory";
  session_id: string;
  run_id: string;
  memory: string;
  messages: { role: string; content: string }[];
}

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let sessions: Sessions;
  let location: string;

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({ db: engine.connect(location) });
    sessions = new Sessions(server.url);
  });
  afterAll(() => server.close());

  const say = async (session_id: string, user_id: string, message = "hello") =>
    (await server.run({ session_id, user_id, message, stream: false })).json();
  const erase = async (user: string) => {
    const answer = await fetch(`${server.url}/users/${user}`, { method: "DELETE" });
    expect(answer.status).toBe(200);
    return answer.json();
  };
  async function exported(user: string): Promise<Line[]> {
    const answer = await fetch(`${server.url}/users/${user}/export`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toContain("application/x-ndjson");
    const text = await answer.text();
    return text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  }

  test("an export holds each session with its runs and messages, and the memories, of that user alone", async () => {
    for (let n = 0; n < 60; n++) await sessions.create({ session_id: `made${n}`, user_id: "ada" });
    await Promise.all(Array.from({ length: 55 }, (_, n) => say("talk", "ada", `number ${n}`)));
    for (let n = 0; n < 55; n++) await remember(server.url, "ada", `fact ${n}`);
    await say("eves", "eve");
    await remember(server.url, "eve", "a secret");

    const lines = await exported("ada");
    const of = (type: Line["type"]) => lines.filter((line) => line.type === type);
    expect(new Set(of("session").map(({ session_id }) => session_id)).size).toBe(61);
    expect(of("session")).toHaveLength(61);
    const runs = await sessions.runs("talk", "limit=1000");
    expect(of("run").map(({ run_id }) => run_id)).toEqual(runs.map(({ run_id }) => run_id));
    expect(of("run")[3]?.messages.map(({ role }) => role)).toEqual(
      expect.arrayContaining(["user", "assistant"]),
    );
    expect(of("memory").map(({ memory }) => memory)).toEqual(
      Array.from({ length: 55 }, (_, n) => `fact ${n}`),
    );
    const at = lines.findIndex((line) => line.type === "session" && line.session_id === "talk");
    expect(lines[at + 1]?.type).toBe("run");
    expect(JSON.stringify(lines)).not.toContain("eve");
    expect(await exported("nobody")).toEqual([]);
  });

  test("an export that nobody reads to its end holds nothing up", async () => {
    const abort = new AbortController();
    const answer = await fetch(`${server.url}/users/ada/export`, { signal: abort.signal });
    await answer.body!.getReader().read();
    abort.abort();
    expect(await exported("ada")).not.toHaveLength(0);
  });

  test("erasing a user leaves nothing of it and all of others, and tells what went", async () => {
    const before = await countRows(engine, location);
    await say("gone1", "ida", "tell me");
    await say("gone1", "ida");
    await sessions.runWithFiles({ message: "read", session_id: "gone2", user_id: "ida" }, "a", "b");
    await remember(server.url, "ida", "likes tea", ["drinks", "mornings"]);
    await remember(server.url, "joe", "likes coffee");
    expect(await erase("ida")).toEqual({
      sessions: 2,
      runs: 3,
      messages: 6,
      run_events: expect.any(Number),
      files: 2,
      memories: 1,
    });
    expect(await countRows(engine, location)).toEqual(before);
    expect(await sessions.ids("user_id=ida")).toEqual([]);
    expect(await sessions.ids("search=tell")).toEqual([]);
    expect(await exported("ida")).toEqual([]);
    expect(await exported("joe")).toHaveLength(1);
    const nothing = { sessions: 0, runs: 0, messages: 0, run_events: 0, files: 0, memories: 0 };
    expect(await erase("ida")).toEqual(nothing);
    expect(await erase("nobody")).toEqual(nothing);
  });

  test("a run under way is ended first, with one that began before its session had an owner", async () => {
    const slow = { message: "[[tokens=500]] [[delay=20]]" };
    const streams = [
      await server.run({ ...slow, session_id: "own", user_id: "kim" }),
      await server.run({ ...slow, session_id: "adopted" }),
      await server.run({ ...slow, session_id: "other", user_id: "lea" }),
    ];
    await sessions.status("POST", "/sessions/adopted/rename?user_id=kim", { session_name: "x" });
    expect(await erase("kim")).toMatchObject({ sessions: 2, runs: 2 });
    for (const stream of streams.slice(0, 2)) expect(await stream.text()).toContain("RunCancelled");
    expect(await sessions.ids("user_id=kim")).toEqual([]);
    expect(await sessions.runs("other")).toMatchObject([{ status: "running" }]);
    const [{ run_id }] = (await sessions.runs("other")) as [{ run_id: string }];
    await fetch(`${server.url}/agents/copilot/runs/${run_id}/cancel`, { method: "POST" });
    await streams[2]!.text();
  });
});
