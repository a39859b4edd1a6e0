import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { type Memory, remember, send, textsOf } from "../support/memories.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let url: string;

  beforeAll(async () => {
    server = await startServer({ db: engine.connect(await engine.createLocation()) });
    url = server.url;
  });
  afterAll(() => server.close());

  const get = (id: string, query = "") => fetch(`${url}/memories/${id}${query}`);
  const patch = (id: string, body: object) => send(url, "PATCH", `/memories/${id}`, body);

  test("a memory is read as it was made", async () => {
    const made = await remember(url, "ada", "Likes tea", ["drinks", "morning"]);
    expect(made).toEqual({
      memory_id: expect.any(String),
      memory: "Likes tea",
      topics: ["drinks", "morning"],
      agent_id: null,
      team_id: null,
      user_id: "ada",
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      updated_at: made.created_at,
    });
    expect(await (await get(made.memory_id)).json()).toEqual(made);
    expect(await (await get(made.memory_id, "?user_id=ada")).json()).toEqual(made);
  });

  test("topics may be left out, are kept once each, and none is empty", async () => {
    for (const [given, kept] of [
      [undefined, []],
      [null, []],
      [
        ["b", "a", "b", " ", "c "],
        ["b", "a", "c"],
      ],
    ]) {
      const answer = await send(url, "POST", "/memories", { memory: "x", user_id: "topics", topics: given });
      expect((await answer.json()).topics).toEqual(kept);
    }
  });

  test("any text is taken: other scripts, emoji, several lines, NUL and halves of a pair", async () => {
    for (const text of ["いつも緑茶", "🫖 and 🥐", "one\ntwo\tthree", "'; DROP TABLE memories; --", "%_\\"]) {
      const { memory_id } = await remember(url, "texts", text, [text.slice(0, 9)]);
      expect((await (await get(memory_id)).json()).memory).toBe(text);
    }
    const odd = await remember(url, "texts", "a\u0000b\ud800c", ["\u0000x", "\udc00"]);
    expect(odd).toMatchObject({ memory: "a b\ufffdc", topics: ["x", "\ufffd"] });
    expect(await (await get(odd.memory_id)).json()).toEqual(odd);
  });

  test("5,000 characters are a memory", async () => {
    const long = await remember(
      url,
      "long",
      "x".repeat(5000),
      Array(20)
        .fill(0)
        .map((_, i) => `${i}`.padEnd(100, "t")),
    );
    expect(await (await get(long.memory_id)).json()).toEqual(long);
  });

  test("a patch changes the text, and the topics where they are given", async () => {
    const made = await remember(url, "patch", "Likes tea", ["drinks"]);
    const second: Memory = await (await patch(made.memory_id, { memory: "Likes green tea" })).json();
    expect(second).toMatchObject({ ...made, memory: "Likes green tea", updated_at: expect.any(String) });
    const third = await (
      await patch(made.memory_id, { memory: "Likes mate", topics: ["a", "b"], user_id: "patch" })
    ).json();
    expect(third).toMatchObject({ memory: "Likes mate", topics: ["a", "b"] });
    const fourth = await (await patch(made.memory_id, { memory: "Likes mate", topics: [] })).json();
    expect(fourth.topics).toEqual([]);
    expect(await (await get(made.memory_id)).json()).toEqual(fourth);
  });

  test("what is not there is 404, and a patch makes none", async () => {
    expect((await get("none")).status).toBe(404);
    const answer = await patch("none", { memory: "x", user_id: "nobody" });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ detail: "Memory with ID none not found" });
    expect(await textsOf(url, "nobody")).toEqual([]);
  });

  test("another user's is not there, and stays as it is", async () => {
    const { memory_id } = await remember(url, "owner", "Likes tea", ["drinks"]);
    expect((await get(memory_id, "?user_id=eve")).status).toBe(404);
    expect((await patch(memory_id, { memory: "Hates tea", topics: [], user_id: "eve" })).status).toBe(404);
    expect((await fetch(`${url}/memories/${memory_id}?user_id=eve`, { method: "DELETE" })).status).toBe(204);
    const many = await send(url, "DELETE", "/memories", { memory_ids: [memory_id], user_id: "eve" });
    expect(many.status).toBe(204);
    expect(await (await get(memory_id)).json()).toMatchObject({ memory: "Likes tea", topics: ["drinks"] });
  });

  test("a delete is 204 each time, and what was deleted is gone with its topics", async () => {
    const { memory_id } = await remember(url, "delete", "Likes tea", ["only-here"]);
    for (let i = 0; i < 2; i++) {
      expect((await fetch(`${url}/memories/${memory_id}`, { method: "DELETE" })).status).toBe(204);
    }
    expect((await get(memory_id)).status).toBe(404);
    expect(await (await fetch(`${url}/memory_topics?user_id=delete`)).json()).toEqual([]);
    expect(await textsOf(url, "delete")).toEqual([]);
  });

  test("several are deleted at once, unknown ones among them", async () => {
    const made = await Promise.all(["a", "b", "c"].map((text) => remember(url, "many", text)));
    const ids = made.slice(0, 2).map(({ memory_id }) => memory_id);
    const answer = await send(url, "DELETE", "/memories", { memory_ids: [...ids, ids[0], "none"] });
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
    expect(await textsOf(url, "many")).toEqual(["c"]);
  });

  test("a GET and a DELETE may say JSON and carry no body", async () => {
    const { memory_id } = await remember(url, "headers", "Likes tea");
    const headers = { "content-type": "application/json" };
    expect((await fetch(`${url}/memories/${memory_id}`, { headers })).status).toBe(200);
    expect((await fetch(`${url}/memories?user_id=headers`, { headers })).status).toBe(200);
    expect((await fetch(`${url}/memories/${memory_id}`, { method: "DELETE", headers })).status).toBe(204);
  });

  test("the database may be named, and any other is 404", async () => {
    const id = engine.name;
    const { memory_id } = await remember(url, "db", "Likes tea");
    for (const path of ["/memories", `/memories/${memory_id}`, "/memory_topics", "/user_memory_stats"]) {
      expect([path, (await fetch(`${url}${path}?db_id=${id}`)).status]).toEqual([path, 200]);
      expect([path, (await fetch(`${url}${path}?db_id=`)).status]).toEqual([path, 200]);
      expect([path, (await fetch(`${url}${path}?db_id=other`)).status]).toEqual([path, 404]);
    }
    const body = { memory: "x", user_id: "db" };
    expect((await send(url, "POST", "/memories?db_id=other", body)).status).toBe(404);
    expect((await send(url, "PATCH", `/memories/${memory_id}?db_id=other`, body)).status).toBe(404);
    expect((await fetch(`${url}/memories/${memory_id}?db_id=other`, { method: "DELETE" })).status).toBe(404);
    expect((await send(url, "POST", "/optimize-memories?db_id=other", { user_id: "db" })).status).toBe(404);
    expect(await textsOf(url, "db")).toEqual(["Likes tea"]);
  });

  test("another method is 405", async () => {
    const answer = await fetch(`${url}/memories`, { method: "PUT" });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, POST, DELETE"]);
  });
});
