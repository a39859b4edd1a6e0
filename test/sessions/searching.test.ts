import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
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

  const say = async (session_id: string, user_id: string, message: string) =>
    (await server.run({ session_id, user_id, message, stream: false })).json();
  const found = (user: string, search: string, more = "") =>
    sessions.ids(`user_id=${user}&search=${encodeURIComponent(search)}${more}`);

  test("a session is found by its name and by what was said in it, by user and agent", async () => {
    await sessions.create({ session_id: "named", session_name: "Quarterly report", user_id: "ada" });
    await say("said", "ada", "where are the penguins [[say=They live in Antarctica]]");
    expect(await found("ada", "quarterly")).toEqual(["named"]);
    expect(await found("ada", "PENGUINS")).toEqual(["said"]);
    expect(await found("ada", "antarctica")).toEqual(["said"]);
    expect(await found("ada", "giraffe")).toEqual([]);
  });

  test("all words must be there, and the last one may be a beginning", async () => {
    await say("both", "bo", "red apples and green pears");
    await say("one", "bo", "red cherries");
    expect(await found("bo", "red pea")).toEqual(["both"]);
    expect(await found("bo", "appl pears")).toEqual([]);
    expect((await found("bo", "red")).toSorted()).toEqual(["both", "one"]);
    expect(await found("bo", "?! ...")).toEqual([]);
  });

  test("what is written with signs is found by its parts", async () => {
    await say(
      "signs",
      "cy",
      "mail sarah@acme.com about src/db/engine.ts, version 3.1.10, node-sqlite and co_op",
    );
    for (const text of [
      "sarah@acme.com",
      "acme",
      "src/db",
      "engine.ts",
      "3.1.10",
      "sqlite",
      "co_op",
      '"acme" OR x*',
    ]) {
      expect(await found("cy", text), text).toEqual(text.includes("OR") ? [] : ["signs"]);
    }
  });

  test("each session is there once, the best match first, in pages", async () => {
    for (const message of ["tiger", "tiger again", "and a tiger"]) await say("often", "di", message);
    await say("mostly", "di", "tiger tiger tiger tiger [[say=tiger tiger]]");
    await say("hardly", "di", `tiger ${"and so on ".repeat(60)} [[say=yes]]`);
    const all = await found("di", "tiger");
    expect(all[0]).toBe("mostly");
    expect(all.at(-1)).toBe("hardly");
    expect(all.toSorted()).toEqual(["hardly", "mostly", "often"]);
    const pages = await Promise.all(
      [1, 2, 3, 4].map((page) => found("di", "tiger", `&limit=1&page=${page}`)),
    );
    expect(pages.flat()).toEqual(all);
    const { meta } = await sessions.list("user_id=di&search=tiger&limit=2&page=2");
    expect(meta).toMatchObject({ page: 2, limit: 2, total_pages: 2, total_count: 3 });
    expect((await sessions.list("user_id=di&search=tiger&limit=2&page=9")).meta.total_count).toBe(3);
  });

  test("a snippet shows where, and nothing that was said in it is HTML", async () => {
    const nasty = `<script>alert("x")</script> & 'the' Ökonomie <b>lion</b> \u0001lion\u0002`;
    await say("nasty", "ed", `[[say=ok]] ${nasty}`);
    const { data } = await sessions.list("user_id=ed&search=lion");
    const snippet = data[0]?.snippet ?? "";
    expect(snippet).toContain("<mark>lion</mark>");
    expect(snippet.replaceAll(/<\/?mark>/g, "")).not.toMatch(/[<>"']/);
    expect(snippet.match(/<mark>/g)).toHaveLength(2);
    expect(snippet).toContain("&#60;/script&#62; &#38; &#39;the&#39;");
    expect((await sessions.list("user_id=ed&search=%C3%B6ko")).data[0]?.snippet).toContain(
      "<mark>Ökonomie</mark>",
    );
  });

  test("a snippet of a long text is a stretch around what was found", async () => {
    await say("long", "flo", `${"before ".repeat(200)}the needle lies here ${"after ".repeat(200)}`);
    const { data } = await sessions.list("user_id=flo&search=needle");
    expect(data[0]?.snippet).toMatch(/^…(?:before )+the <mark>needle<\/mark> lies here (?:after ?)+…$/);
    expect(data[0]?.snippet?.length).toBeLessThan(300);
  });

  test("a user finds nothing of others, and other filters hold too", async () => {
    await say("gus1", "gus", "narwhal");
    await sessions.create({
      session_id: "hal1",
      session_name: "narwhal",
      user_id: "hal",
      agent_id: "copilot",
    });
    await sessions.create({ session_id: "hal2", session_name: "narwhal too", user_id: "hal" });
    expect(await found("gus", "narwhal")).toEqual(["gus1"]);
    expect((await found("hal", "narwhal")).toSorted()).toEqual(["hal1", "hal2"]);
    expect(await found("hal", "narwhal", "&agent_id=copilot")).toEqual(["hal1"]);
    expect(await found("hal", "narwhal", "&session_name=too")).toEqual(["hal2"]);
    expect((await sessions.ids("search=narwhal")).toSorted()).toEqual(["gus1", "hal1", "hal2"]);
  });

  test("what was deleted is not found, nor what a renamed session was called", async () => {
    await say("gone", "ina", "platypus");
    expect(await found("ina", "platypus")).toEqual(["gone"]);
    await sessions.status("DELETE", "/sessions/gone");
    expect(await found("ina", "platypus")).toEqual([]);
  });

  test.each([
    "a".repeat(500),
    "\ud800",
    "'; DROP TABLE x; --",
    "NEAR(a b)",
    "owner:x",
    "(((",
    "*",
    "-",
    "\u0000",
  ])("odd words do no harm: %j", async (text) => {
    const answer = await fetch(`${server.url}/sessions?search=${encodeURIComponent(text.toWellFormed())}`);
    expect(answer.status).toBe(200);
  });
});
