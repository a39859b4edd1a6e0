import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { list, type MemoryPage, remember, send } from "../support/memories.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let url: string;

  beforeAll(async () => {
    server = await startServer({ db: engine.connect(await engine.createLocation()) });
    url = server.url;
    await remember(url, "ada", "Likes tea with milk", ["drinks"]);
    await remember(url, "ada", "Lives in Oslo", ["home"]);
    await remember(url, "ada", "Has a dog called Steamer", ["pets", "home"]);
    await remember(url, "ada", "Drinks tea at home", ["drinks", "home"]);
    await remember(url, "eve", "Hates tea", ["drinks"]);
  });
  afterAll(() => server.close());

  const texts = ({ data }: MemoryPage) => data.map(({ memory }) => memory.split(" ")[0]);
  const all = ["Drinks", "Has", "Lives", "Likes"];

  describe("a page", () => {
    test("holds the last changed first, with the count of all", async () => {
      const page = await list(url, "user_id=ada");
      expect(texts(page)).toEqual(all);
      expect(page.meta).toEqual({
        page: 1,
        limit: 20,
        total_pages: 1,
        total_count: 4,
        search_time_ms: expect.any(Number),
      });
    });

    test("pages hold each memory once, by number or by cursor", async () => {
      const numbered = [];
      for (let page = 1; page <= 3; page++) {
        const got = await list(url, `user_id=ada&limit=2&page=${page}`);
        expect(got.meta).toMatchObject({ page, limit: 2, total_pages: 2, total_count: 4 });
        numbered.push(...texts(got));
      }
      expect(numbered).toEqual(all);
      for (const order of ["sort_order=desc", "sort_order=asc&sort_by=created_at"]) {
        const followed = [];
        let cursor: string | undefined = "";
        for (let pages = 0; cursor !== undefined && pages < 9; pages++) {
          const got: MemoryPage = await list(
            url,
            `user_id=ada&limit=1&${order}${cursor && `&cursor=${cursor}`}`,
          );
          followed.push(...texts(got));
          cursor = got.meta.next_cursor;
        }
        expect(followed).toEqual(order.includes("asc") ? all.toReversed() : all);
      }
    });

    test("what is changed comes first by its change, and stays by its creation", async () => {
      const first = await remember(url, "sort", "first");
      await remember(url, "sort", "second");
      await send(url, "PATCH", `/memories/${first.memory_id}`, { memory: "first, changed" });
      expect(texts(await list(url, "user_id=sort"))).toEqual(["first,", "second"]);
      expect(texts(await list(url, "user_id=sort&sort_by=created_at"))).toEqual(["second", "first,"]);
      expect(texts(await list(url, "user_id=sort&sort_by=updated_at&sort_order=asc"))).toEqual([
        "second",
        "first,",
      ]);
    });

    test("without a user holds everybody's", async () => {
      expect((await list(url, "search_content=hates")).data).toMatchObject([{ user_id: "eve" }]);
      expect(new Set((await list(url, "limit=1000")).data.map(({ user_id }) => user_id))).toContain("eve");
    });

    test("of an agent holds what it wrote, of a team nothing", async () => {
      expect((await list(url, "user_id=ada&agent_id=copilot")).data).toEqual([]);
      expect((await list(url, "user_id=ada&team_id=x")).meta).toMatchObject({
        total_count: 0,
        total_pages: 0,
      });
      expect((await list(url, "user_id=ada&agent_id=&team_id=")).meta.total_count).toBe(4);
    });
  });

  describe("topics", () => {
    test.each([
      ["topics=drinks", ["Drinks", "Likes"]],
      ["topics=drinks,home", ["Drinks"]],
      ["topics=drinks&topics=home", ["Drinks"]],
      ["topics=%20home%20,&topics=pets", ["Has"]],
      ["topics=", all],
      ["topics=drink", []],
      ["topics=Drinks", []],
    ])("%s", async (query, found) => {
      const page = await list(url, `user_id=ada&${query}`);
      expect([texts(page), page.meta.total_count]).toEqual([found, found.length]);
    });

    test("are listed, a user's or everybody's", async () => {
      const topics = async (query: string) => (await fetch(`${url}/memory_topics${query}`)).json();
      expect(await topics("?user_id=ada")).toEqual(["drinks", "home", "pets"]);
      expect(await topics("?user_id=eve")).toEqual(["drinks"]);
      expect(await topics("?user_id=nobody")).toEqual([]);
      expect(await topics("")).toEqual(["drinks", "home", "pets"]);
    });
  });

  describe("a search", () => {
    test.each([
      ["a word, whatever its case", "OSLO", ["Lives"]],
      ["all of the words, in any order", "milk tea", ["Likes"]],
      ["the beginning of the last word", "os", ["Lives"]],
      ["no part of a word", "eamer", []],
      ["no word that stands in the middle of another", "tea", ["Drinks", "Likes"]],
      ["signs count as nothing", '(tea)* - "home":', ["Drinks"]],
      ["signs alone", "!?*", []],
      ["nothing", "", all],
    ])("%s", async (_, words, found) => {
      const page = await list(url, `user_id=ada&search_content=${encodeURIComponent(words)}`);
      expect(texts(page).toSorted()).toEqual(found.toSorted());
      expect(page.meta.total_count).toBe(found.length);
    });

    test("the best match comes first, whatever the sort", async () => {
      await remember(url, "rank", "Tea, tea, and again tea");
      await remember(url, "rank", `Once spoke of tea among many other things ${"and so on ".repeat(30)}`);
      for (const sort of ["", "&sort_order=asc"]) {
        expect(texts(await list(url, `user_id=rank&search_content=tea${sort}`))).toEqual(["Tea,", "Once"]);
      }
    });

    test("goes with topics and pages", async () => {
      const page = await list(url, "user_id=ada&search_content=tea&topics=home&limit=1");
      expect([texts(page), page.meta.total_count]).toEqual([["Drinks"], 1]);
      const second = await list(url, "user_id=ada&search_content=tea&limit=1&page=2");
      expect([second.data.length, second.meta]).toMatchObject([1, { total_pages: 2, total_count: 2 }]);
      expect(second.meta.next_cursor).toBeUndefined();
    });

    test("finds what a memory says now, not what it said", async () => {
      const { memory_id } = await remember(url, "now", "Rides a bicycle");
      await send(url, "PATCH", `/memories/${memory_id}`, { memory: "Drives a car" });
      expect((await list(url, "user_id=now&search_content=bicycle")).data).toEqual([]);
      expect((await list(url, "user_id=now&search_content=car")).data).toHaveLength(1);
    });
  });

  test("the numbers of each user, the last changed first", async () => {
    const stats = async (query: string) => (await fetch(`${url}/user_memory_stats?${query}`)).json();
    expect(await stats("user_id=ada")).toEqual({
      data: [{ user_id: "ada", total_memories: 4, last_memory_updated_at: expect.stringMatching(/Z$/) }],
      meta: { page: 1, limit: 20, total_pages: 1, total_count: 1, search_time_ms: expect.any(Number) },
    });
    expect((await stats("user_id=nobody")).data).toEqual([]);
    await remember(url, "newest", "x");
    const pages = [await stats("limit=1"), await stats("limit=1&page=2")];
    expect(pages[0]).toMatchObject({ data: [{ user_id: "newest", total_memories: 1 }] });
    expect(pages[1].data[0].user_id).not.toBe("newest");
    expect(pages[1].meta.total_count).toBeGreaterThan(2);
  });
});
