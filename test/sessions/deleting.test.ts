import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Sessions } from "../support/sessions.ts";

const slow = "[[tokens=500]] [[delay=20]]";

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

  const say = async (session_id: string, user_id = "ada", message = "hello") =>
    (await server.run({ session_id, user_id, message, stream: false })).json();

  /** Starts a run and gives its id and what ends its reading once it is under way. */
  async function begin(session_id: string, user_id = "ada") {
    const abort = new AbortController();
    const response = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message: slow, session_id, user_id }),
      signal: abort.signal,
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes('"RunContent"')) text += (await reader.read()).value ?? "";
    const run_id = /"run_id":"([^"]+)"/.exec(text)![1]!;
    const rest = async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return text;
        text += value;
      }
    };
    return { run_id, rest, abort };
  }

  const cancel = (run_id: string) =>
    fetch(`${server.url}/agents/copilot/runs/${run_id}/cancel`, { method: "POST" });

  test("a session goes with its runs, and deleting it again is the same", async () => {
    const { run_id } = await say("one");
    for (let n = 0; n < 2; n++) expect(await sessions.status("DELETE", "/sessions/one")).toBe(204);
    expect(await sessions.status("GET", "/sessions/one")).toBe(404);
    expect(await sessions.status("GET", "/sessions/one/runs")).toBe(404);
    expect(await sessions.status("GET", `/agents/copilot/runs/${run_id}`)).toBe(404);
    await say("one");
    expect(await sessions.runs("one")).toHaveLength(1);
  });

  test("several go at once; what is another user's or of another type stays", async () => {
    for (const id of ["a", "b", "c"]) await say(id, "bo");
    await say("eves", "eve");
    const many = {
      session_ids: ["a", "b", "c", "eves", "none"],
      session_types: ["agent", "agent", "team", "agent", "agent"],
    };
    expect(await sessions.status("DELETE", "/sessions?user_id=bo", many)).toBe(204);
    expect(await sessions.ids("user_id=bo")).toEqual(["c"]);
    expect(await sessions.ids("user_id=eve")).toEqual(["eves"]);
  });

  test.each([
    [{ session_ids: ["x", "y"], session_types: ["agent"] }, 400],
    [{ session_ids: ["kept", 5], session_types: ["agent", "agent"] }, 422],
    [{ session_ids: ["kept"], session_types: ["robot"] }, 422],
    [{ session_ids: ["kept"] }, 422],
    [{ session_ids: Array(1001).fill("kept"), session_types: Array(1001).fill("agent") }, 422],
    ["{broken", 422],
  ])("a list that is wrong deletes nothing: %j", async (body, status) => {
    await say("kept", "kay");
    expect(await sessions.status("DELETE", "/sessions", body)).toBe(status);
    expect(await sessions.ids("user_id=kay")).toEqual(["kept"]);
  });

  test("while a run is under way its session is not deleted, nor any other with it", async () => {
    await say("idle", "lou");
    const { run_id, rest } = await begin("busy", "lou");
    expect(await sessions.status("DELETE", "/sessions/busy")).toBe(409);
    const many = { session_ids: ["idle", "busy"], session_types: ["agent", "agent"] };
    expect(await sessions.status("DELETE", "/sessions", many)).toBe(409);
    expect((await sessions.ids("user_id=lou")).toSorted()).toEqual(["busy", "idle"]);
    await cancel(run_id);
    await rest();
    expect(await sessions.status("DELETE", "/sessions", many)).toBe(204);
    expect(await sessions.ids("user_id=lou")).toEqual([]);
  });

  test("a file goes with the last run that has it", async () => {
    const first = await sessions.runWithFiles(
      { message: "read", session_id: "files1", user_id: "mo" },
      "same bytes",
    );
    const second = await sessions.runWithFiles(
      { message: "read", session_id: "files2", user_id: "mo" },
      "same bytes",
    );
    const urls = [first, second].map((run) => run.input.files[0]!.url);
    await sessions.status("DELETE", "/sessions/files1");
    expect(await sessions.status("GET", urls[0]!)).toBe(404);
    const kept = await fetch(server.url + urls[1]!);
    expect(await kept.text()).toBe("same bytes");
    await sessions.status("DELETE", "/sessions/files2");
    expect(await sessions.status("GET", urls[1]!)).toBe(404);
  });

  test("a file that is sent again just as it is deleted is there", async () => {
    for (let round = 0; round < 10; round++) {
      await sessions.runWithFiles(
        { message: "read", session_id: `race${round}`, user_id: "nia" },
        `bytes ${round}`,
      );
      const [deleted, run] = await Promise.all([
        sessions.status("DELETE", `/sessions/race${round}`),
        sessions.runWithFiles(
          { message: "read", session_id: `again${round}`, user_id: "nia" },
          `bytes ${round}`,
        ),
      ]);
      expect(deleted).toBe(204);
      const { url } = run.input.files[0]!;
      expect(await (await fetch(server.url + url)).text()).toBe(`bytes ${round}`);
    }
  });

  test("sessions are deleted and used at once without an error, and none is left half", async () => {
    const work = Array.from({ length: 60 }, async (_, n) => {
      const id = `hot${n % 3}`;
      if (n % 2 === 0)
        return [200, 404].includes(
          (await server.run({ session_id: id, user_id: "pat", message: "x", stream: false })).status,
        );
      const many = { session_ids: ["hot2", "hot0", "hot1"], session_types: ["agent", "agent", "agent"] };
      return [204, 409].includes(await sessions.status("DELETE", "/sessions", many));
    });
    expect(await Promise.all(work)).toEqual(Array(60).fill(true));
    for (const id of await sessions.ids("user_id=pat"))
      expect((await sessions.runs(id)).length).toBeGreaterThan(0);
  });

  test("a run whose row is gone stops, and says why", async () => {
    const { run_id, rest } = await begin("pulled", "quin");
    // What another node does that erases the user.
    await query(engine, location, `DELETE FROM runs WHERE run_id = '${run_id}'`);
    expect(await rest()).toContain('"error_type":"run_lost"');
    expect(await sessions.runs("pulled")).toEqual([]);
  });

  test("a run that is not streamed and whose row is gone is answered with a conflict, not as a fault of ours", async () => {
    const waiting = server.run({
      message: "x [[ttft=300]]",
      session_id: "pulled-too",
      user_id: "quin",
      stream: false,
    });
    await vi.waitUntil(async () => (await sessions.runs("pulled-too").catch(() => [])).length === 1);
    await query(engine, location, "DELETE FROM runs WHERE session_id = 'pulled-too'");
    const answer = await waiting;
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ detail: expect.stringContaining("deleted") });
  });
});
