import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { readFrames } from "../support/read-events.ts";
import { remember } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Sessions } from "../support/sessions.ts";

interface Listed {
  run_id: string;
  messages: { id: string }[];
}

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let sessions: Sessions;

  beforeAll(async () => {
    const db = engine.connect(await engine.createLocation());
    server = await startServer({ db, agent: { tools: [remember], retries: 0 } });
    sessions = new Sessions(server.url);
  });
  afterAll(() => server.close());

  const say = async (session_id: string, message: string, user_id = "ada") =>
    (await server.run({ session_id, message, user_id, stream: false })).json();

  async function fork(id: string, query = "user_id=ada"): Promise<string> {
    const answer = await fetch(`${server.url}/agents/copilot/sessions/${id}/fork?${query}`, {
      method: "POST",
    });
    const body = await answer.json();
    expect(answer.status, JSON.stringify(body)).toBe(200);
    expect(body.forked_from_session_id).toBe(id);
    return body.session_id;
  }
  const forkStatus = (id: string, query: string) =>
    sessions.status("POST", `/agents/copilot/sessions/${id}/fork?${query}`);
  const inputs = async (id: string) => (await sessions.runs(id)).map(({ run_input }) => run_input);

  test("a fork has all that ended, in order, under ids of its own, and goes its own way", async () => {
    const message = '[[tool=remember {"key":"color","value":"blue"}]] note';
    await say("source", message);
    await say("source", "bad [[error=400]]");
    await say("source", "last");
    const id = await fork("source");
    expect(await inputs(id)).toEqual([message, "bad [[error=400]]", "last"]);
    const [from, to] = [await sessions.runs<Listed>("source"), await sessions.runs<Listed>(id)];
    for (const [i, run] of to.entries()) {
      const { run_id, messages, ...same } = run;
      const { run_id: sourceId, messages: sourceMessages, ...source } = from[i]!;
      expect(same).toEqual(source);
      expect(run_id).not.toBe(sourceId);
      const said = (list: { id: string }[]) => list.map(({ id: _, ...rest }) => rest);
      expect(said(messages)).toEqual(said(sourceMessages));
      expect(messages[0]?.id).not.toBe(sourceMessages[0]?.id);
    }
    expect(await sessions.get(id)).toMatchObject({
      session_name: (await sessions.get("source")).session_name,
      session_state: { color: "blue" },
      user_id: "ada",
    });

    await say(id, "only here");
    await sessions.status("POST", `/sessions/${id}/rename`, { session_name: "The fork" });
    expect(await inputs("source")).toHaveLength(3);
    expect((await sessions.get("source")).session_name).not.toBe("The fork");
    const asked = server.model.requests.at(-1)?.body["input"] as { content?: string }[];
    expect(asked.map(({ content }) => content)).toContain("last");
    await sessions.status("DELETE", "/sessions/source");
    expect(await inputs(id)).toHaveLength(4);
  });

  test("a fork takes runs up to the one that is named, with the state of then", async () => {
    const runs = [];
    for (const value of ["1", "2", "3"]) {
      runs.push(await say("steps", `[[tool=remember {"key":"n","value":"${value}"}]]`));
    }
    const id = await fork("steps", `user_id=ada&up_to_run_id=${runs[1].run_id}`);
    expect(await inputs(id)).toHaveLength(2);
    expect((await sessions.get(id)).session_state).toEqual({ n: "2" });
  });

  test("files are in the fork under ids of its own, and stay when the source goes", async () => {
    await sessions.runWithFiles({ message: "read", session_id: "filed", user_id: "ada" }, "the text");
    const id = await fork("filed");
    const urlOf = async (session: string) => (await sessions.get(session)).chat_history[0]!.files![0]!.url;
    const [old, copy] = [await urlOf("filed"), await urlOf(id)];
    expect(copy).not.toBe(old);
    const [run] = await sessions.runs<{ input_media: { files: { url: string }[] } }>(id);
    expect(run?.input_media.files[0]?.url).toBe(copy);
    await sessions.status("DELETE", "/sessions/filed");
    expect(await sessions.status("GET", old)).toBe(404);
    expect(await (await fetch(server.url + copy)).text()).toBe("the text");
    await sessions.status("DELETE", `/sessions/${id}`);
    expect(await sessions.status("GET", copy)).toBe(404);
  });

  test("what was said is found in the fork too, for the same user", async () => {
    await say("wombats", "about wombats", "zoe");
    const id = await fork("wombats", "user_id=zoe");
    expect((await sessions.ids("user_id=zoe&search=wombats")).toSorted()).toEqual([id, "wombats"].toSorted());
    await sessions.status("DELETE", "/sessions/wombats");
    expect(await sessions.ids("user_id=zoe&search=wombats")).toEqual([id]);
  });

  test("runs under way are left out, and none is named as the last", async () => {
    await say("partly", "done");
    const response = await server.run({
      session_id: "partly",
      user_id: "ada",
      message: "[[tokens=300]] [[delay=10]]",
    });
    const [run_id] = (await sessions.runs("partly", "status=running")).map((run) => run.run_id);
    expect(await inputs(await fork("partly"))).toEqual(["done"]);
    expect(await forkStatus("partly", `user_id=ada&up_to_run_id=${run_id}`)).toBe(409);
    await fetch(`${server.url}/agents/copilot/runs/${run_id}/cancel`, { method: "POST" });
    await readFrames(response);
    expect(await inputs(await fork("partly"))).toHaveLength(2);
  });

  test("what is not there, or another user's, is 404, and nothing is made", async () => {
    const { run_id } = await say("mine", "x", "vic");
    const other = await say("others", "x", "vic");
    expect(await forkStatus("mine", "user_id=eve")).toBe(404);
    expect(await forkStatus("unknown", "user_id=vic")).toBe(404);
    expect(await forkStatus("mine", "user_id=vic&up_to_run_id=none")).toBe(404);
    expect(await forkStatus("mine", `user_id=vic&up_to_run_id=${other.run_id}`)).toBe(404);
    expect(await sessions.status("POST", `/agents/nobody/sessions/mine/fork?up_to_run_id=${run_id}`)).toBe(
      404,
    );
    expect((await sessions.list("user_id=vic")).meta.total_count).toBe(2);
  });

  test("a session of many runs is copied whole", async () => {
    await Promise.all(Array.from({ length: 130 }, (_, n) => say("long", `number ${n}`, "una")));
    const id = await fork("long", "user_id=una");
    expect(await (await fetch(`${server.url}/sessions/${id}/run-previews?limit=1000`)).json()).toHaveLength(
      130,
    );
    const order = async (session: string) =>
      (await sessions.runs(session, "limit=1000")).map((run) => run.run_input);
    expect(await order(id)).toEqual(await order("long"));
  });
});
