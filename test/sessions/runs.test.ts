import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Sessions } from "../support/sessions.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let sessions: Sessions;
  let compat: TestServer;

  beforeAll(async () => {
    const agent = { retries: 0 };
    server = await startServer({ db: engine.connect(await engine.createLocation()), agent });
    sessions = new Sessions(server.url);
    const db = engine.connect(await engine.createLocation());
    compat = await startServer({ db, agent, os: { agnoCompat: true } });
  });
  afterAll(async () => {
    await server.close();
    await compat.close();
  });

  const say = async (session_id: string, message: string, at = server) =>
    (await at.run({ session_id, message, user_id: "ada", stream: false })).json();

  test("runs come oldest first, a page at a time, and each by itself and in short", async () => {
    const said: string[] = [];
    for (let n = 0; n < 5; n++) said.push((await say("many", `message ${n}`)).run_id);
    expect((await sessions.runs("many")).map(({ run_id }) => run_id)).toEqual(said);
    const seen: string[][] = [];
    for (let query = "?user_id=ada&limit=2"; ; ) {
      const page = await fetch(`${server.url}/sessions/many/runs${query}`);
      seen.unshift(((await page.json()) as { run_id: string }[]).map(({ run_id }) => run_id));
      const next = /<(\?[^>]+)>; rel="next"/.exec(page.headers.get("link") ?? "")?.[1];
      if (next === undefined) break;
      query = next;
    }
    expect(seen).toEqual([said.slice(0, 1), said.slice(1, 3), said.slice(3)]);
    const one = await (await fetch(`${server.url}/sessions/many/runs/${said[2]}`)).json();
    expect(one).toMatchObject({ run_id: said[2], run_input: "message 2", parent_run_id: "" });
    expect(one).toEqual((await sessions.runs("many"))[2]);
    const previews = await (await fetch(`${server.url}/sessions/many/run-previews`)).json();
    expect(previews).toHaveLength(5);
    expect(previews[2]).toEqual({
      run_id: said[2],
      parent_run_id: "",
      agent_id: "copilot",
      user_id: "ada",
      status: "completed",
      run_input: "message 2",
      content_preview: expect.stringContaining("You said: message 2"),
      created_at: one.created_at,
    });
  });

  test("a preview shows the beginning of a long answer", async () => {
    await say("wordy", "[[tokens=200]]");
    const [preview] = await (await fetch(`${server.url}/sessions/wordy/run-previews`)).json();
    expect(preview.content_preview).toHaveLength(200);
  });

  test("runs are filtered by status, several at once, in either case", async () => {
    await say("mixed", "good");
    await say("mixed", "bad [[error=400]]");
    const inputs = async (query: string) =>
      (await sessions.runs("mixed", query)).map(({ run_input }) => run_input);
    expect(await inputs("status=ERROR")).toEqual(["bad [[error=400]]"]);
    expect(await inputs("status=error&status=Completed")).toEqual(["good", "bad [[error=400]]"]);
    expect(await inputs("status=error,completed")).toHaveLength(2);
    expect(await inputs("status=paused&status=cancelled")).toEqual([]);
    expect(await inputs("status=")).toHaveLength(2);
  });

  test("runs are filtered by the second in which they were made, which counts", async () => {
    const { created_at } = await say("timed", "now");
    const count = async (query: string) => (await sessions.runs("timed", query)).length;
    expect(await count(`created_after=${created_at}`)).toBe(1);
    expect(await count(`created_before=${created_at}`)).toBe(1);
    expect(await count(`created_after=${created_at + 1}`)).toBe(0);
    expect(await count(`created_before=${created_at - 1}`)).toBe(0);
    expect(await count(`created_after=${created_at}&created_before=${created_at}`)).toBe(1);
  });

  test.each([
    "status=sleepy",
    "status=error&status=x",
    "created_after=yesterday",
    "created_before=1.5",
    "created_after=-1",
    "limit=0",
    "cursor=x",
  ])("%s is 422", async (query) => {
    await say("filtered", "x");
    for (const list of ["runs", "run-previews"]) {
      const answer = await fetch(`${server.url}/sessions/filtered/${list}?${query}`);
      expect(answer.status).toBe(422);
      const name = query.split("=")[0]!;
      expect((await answer.json()).detail).toMatchObject([{ loc: ["query", name] }]);
    }
  });

  test("a session without a run has none, and an unknown one is 404", async () => {
    await sessions.create({ session_id: "empty" });
    expect(await sessions.runs("empty")).toEqual([]);
    expect(await sessions.status("GET", "/sessions/empty/runs/none")).toBe(404);
    expect(await sessions.status("GET", "/sessions/unknown/runs")).toBe(404);
    const { run_id } = await say("elsewhere", "x");
    expect(await sessions.status("GET", `/sessions/empty/runs/${run_id}`)).toBe(404);
  });

  test("for clients of the original, runs under way are not there yet, and status is in upper case", async () => {
    const response = await compat.run({ session_id: "live", message: "[[tokens=300]] [[delay=20]]" });
    const reader = response.body!.getReader();
    await reader.read();
    const runs = () => fetch(`${compat.url}/sessions/live/runs`);
    expect((await runs()).status).toBe(404);
    await say("live", "quick", compat).catch(() => undefined);
    const answered = await (await runs()).json();
    expect(answered).toMatchObject([{ run_input: "quick", status: "COMPLETED" }]);
    expect(await (await fetch(`${compat.url}/sessions/live/runs?status=RUNNING`)).json()).toEqual([]);
    await reader.cancel();
  });

  test("for clients of the original, a session that was made without a run has an empty list", async () => {
    const made = new Sessions(compat.url);
    await made.create({ session_id: "made" });
    expect(await made.runs("made")).toEqual([]);
  });
});
