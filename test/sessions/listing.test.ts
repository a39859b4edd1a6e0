import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { type SessionPage, Sessions } from "../support/sessions.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let sessions: Sessions;

  beforeAll(async () => {
    server = await startServer({ db: engine.connect(await engine.createLocation()) });
    sessions = new Sessions(server.url);
    for (let n = 0; n < 25; n++) {
      await sessions.create({
        session_id: `s${String(n).padStart(2, "0")}`,
        session_name: `Talk ${String.fromCharCode(97 + ((n * 7) % 25))}`,
        user_id: "ada",
        ...(n % 2 === 0 && { agent_id: "copilot" }),
      });
    }
  });
  afterAll(() => server.close());

  /** All that a list holds, read by its cursors. */
  async function byCursor(query: string, between: (page: number) => Promise<unknown> = async () => {}) {
    const pages: SessionPage[] = [];
    for (let cursor = ""; ; ) {
      const page = await sessions.list(`${query}&cursor=${cursor}`);
      pages.push(page);
      if (page.meta.next_cursor === undefined) return pages;
      cursor = page.meta.next_cursor;
      await between(pages.length);
    }
  }

  test.each(["created_at", "updated_at", "session_name"])(
    "page by page and by cursor the list is the same: %s",
    async (by) => {
      for (const order of ["asc", "desc"]) {
        const query = `user_id=ada&limit=7&sort_by=${by}&sort_order=${order}`;
        const whole = await sessions.ids(`user_id=ada&limit=1000&sort_by=${by}&sort_order=${order}`);
        expect(new Set(whole).size).toBe(25);
        const paged = await Promise.all([1, 2, 3, 4].map((page) => sessions.ids(`${query}&page=${page}`)));
        expect(paged.flat()).toEqual(whole);
        const pages = await byCursor(query);
        expect(pages.flatMap(({ data }) => data.map(({ session_id }) => session_id))).toEqual(whole);
        expect(pages.map(({ meta }) => meta.page)).toEqual([1, 2, 3, 4]);
        expect(pages.map(({ meta }) => [meta.total_count, meta.total_pages])).toEqual(Array(4).fill([25, 4]));
      }
    },
  );

  test("the newest come first where nothing else is asked for, 20 of them", async () => {
    const page = await sessions.list("user_id=ada");
    expect(page.data).toHaveLength(20);
    expect(page.data[0]).toMatchObject({ session_id: "s24", session_type: "agent", metrics: {} });
    expect(page.data[0]).not.toHaveProperty("chat_history");
    expect(page.meta).toMatchObject({ page: 1, limit: 20, total_pages: 2, total_count: 25 });
    expect((await sessions.list("user_id=ada&page=50")).meta).toMatchObject({
      total_count: 25,
      total_pages: 2,
    });
  });

  test("a list that is read by its cursors has each once while others come and go", async () => {
    for (let n = 0; n < 12; n++) await sessions.create({ session_id: `moving${n}`, user_id: "bo" });
    const pages = await byCursor("user_id=bo&limit=4", async (page) => {
      await sessions.create({ session_id: `new${page}`, user_id: "bo" });
      await sessions.status("DELETE", `/sessions/moving${12 - page * 4}`);
    });
    const seen = pages.flatMap(({ data }) => data.map(({ session_id }) => session_id));
    expect(seen).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((n) => `moving${n}`));
    expect(pages.map(({ meta }) => meta.total_count)).toEqual([12, 12, 12]);
  });

  test("a name is found by a part of it, in upper or lower case, and its signs mean themselves", async () => {
    for (const session_name of ["100 % Käse", "100 x", "under_score", "back\\slash", "underscore"]) {
      await sessions.create({ session_name, user_id: "namer" });
    }
    const found = async (name: string) =>
      (await sessions.list(`user_id=namer&session_name=${encodeURIComponent(name)}`)).data.map(
        ({ session_name }) => session_name,
      );
    expect(await found("KÄSE")).toEqual(["100 % Käse"]);
    expect(await found("100 %")).toEqual(["100 % Käse"]);
    expect(await found("R_S")).toEqual(["under_score"]);
    expect(await found("k\\s")).toEqual(["back\\slash"]);
    expect(await found("'; DROP TABLE sessions; --")).toEqual([]);
  });

  test("lists are filtered by agent, under both names, and by type", async () => {
    for (const name of ["agent_id", "component_id"]) {
      expect((await sessions.list(`user_id=ada&${name}=copilot`)).meta.total_count).toBe(13);
      expect((await sessions.list(`user_id=ada&${name}=other`)).meta.total_count).toBe(0);
    }
    expect((await sessions.list("user_id=ada&agent_id=copilot&component_id=other")).data).toEqual([]);
    expect((await sessions.list("user_id=ada&type=agent")).meta.total_count).toBe(25);
    expect((await sessions.list("user_id=ada&type=team")).data).toEqual([]);
    expect((await sessions.list("user_id=ada&type=&sort_by=&sort_order=&cursor=&search=")).data).toHaveLength(
      20,
    );
  });

  test.each([
    "page=0",
    "page=-1",
    "page=1.5",
    "page=x",
    "page=1000001",
    "limit=0",
    "limit=1001",
    "limit=x",
    "sort_by=user_id",
    "sort_order=sideways",
    "type=robot",
    "cursor=nonsense",
    "cursor=W10",
    "search=a&limit=101",
    "session_name=%00",
    "user_id=%00",
  ])("a list with %s is 422 and names it", async (query) => {
    const answer = await fetch(`${server.url}/sessions?${query}`);
    expect(answer.status).toBe(422);
    const [name] = query.split("&").at(-1)!.split("=");
    expect((await answer.json()).detail).toMatchObject([{ loc: ["query", name] }]);
  });

  test("a cursor is good for its own sort only, and no forged one does harm", async () => {
    const { meta } = await sessions.list("user_id=ada&limit=5");
    for (const query of ["sort_by=updated_at", "sort_order=asc", "search=talk"]) {
      const answer = await fetch(`${server.url}/sessions?user_id=ada&${query}&cursor=${meta.next_cursor}`);
      expect(answer.status).toBe(422);
    }
    for (const forged of [
      ["session_name", "desc", 2, "a\u0000", "x"],
      ["session_name", "desc", 2, 5, "x"],
      ["created_at", "desc", 2, "now", "x"],
      ["created_at", "desc", 2, 1e300, "x"],
      ["created_at", "desc", 2, 5, "\u0000"],
      ["created_at", "desc", 0, 5, "x"],
    ]) {
      const cursor = Buffer.from(JSON.stringify(forged)).toString("base64url");
      const answer = await fetch(`${server.url}/sessions?sort_by=${forged[0]}&cursor=${cursor}`);
      expect(answer.status, JSON.stringify(forged)).toBe(422);
    }
  });

  test("the tokens of a session are those of all its runs", async () => {
    const totals: number[] = [];
    for (const message of ["one", "two [[tool=add {}]]"]) {
      const run = await (
        await server.run({ message, session_id: "tokens", user_id: "counter", stream: false })
      ).json();
      totals.push(run.metrics.total_tokens);
    }
    const [listed] = (await sessions.list("user_id=counter")).data;
    expect(listed?.total_tokens).toBe(totals[0]! + totals[1]!);
    expect((await sessions.get("tokens")).metrics).toEqual(listed?.metrics);
  });
});
