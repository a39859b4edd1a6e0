import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { type Memory, remember, send, textsOf } from "../support/memories.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** What a caller may get wrong: the body, the place that the answer names, and the input that it quotes. */
const wrongMemories: Record<string, [unknown, (string | number)[], unknown?]> = {
  "no text": [{ user_id: "u" }, ["body", "memory"], { user_id: "u" }],
  "an empty text": [{ memory: "", user_id: "u" }, ["body", "memory"], ""],
  "a text of blanks": [{ memory: " \n", user_id: "u" }, ["body", "memory"], " \n"],
  "a text of null": [{ memory: null, user_id: "u" }, ["body", "memory"], null],
  "a text that is a number": [{ memory: 5, user_id: "u" }, ["body", "memory"], 5],
  "a text over the limit": [{ memory: "x".repeat(5001), user_id: "u" }, ["body", "memory"]],
  "topics that are a text": [{ memory: "x", user_id: "u", topics: "a" }, ["body", "topics"], "a"],
  "a topic that is a number": [{ memory: "x", user_id: "u", topics: ["a", 1] }, ["body", "topics", 1], 1],
  "a topic over the limit": [{ memory: "x", user_id: "u", topics: ["t".repeat(101)] }, ["body", "topics", 0]],
  "too many topics": [{ memory: "x", user_id: "u", topics: Array(21).fill("t") }, ["body", "topics"]],
  "a user that is a number": [{ memory: "x", user_id: 7 }, ["body", "user_id"], 7],
  "a user with NUL": [{ memory: "x", user_id: "a\u0000" }, ["body", "user_id"], "a\u0000"],
  "a list": [[], ["body"], []],
  "a text": ['"x"', ["body"], "x"],
  "no JSON": ["{", ["body"]],
  "no body": ["", ["body"]],
};

const wrongDeletes: Record<string, [unknown, (string | number)[], unknown?]> = {
  "no list": [{}, ["body", "memory_ids"], {}],
  "an empty list": [{ memory_ids: [] }, ["body", "memory_ids"], []],
  "a list with a number": [{ memory_ids: ["ID", 7] }, ["body", "memory_ids", 1], 7],
  "a list with null": [{ memory_ids: [null, "ID"] }, ["body", "memory_ids", 0], null],
  "an id alone": [{ memory_ids: "ID" }, ["body", "memory_ids"]],
  "too many": [{ memory_ids: Array(1001).fill("ID") }, ["body", "memory_ids"]],
};

const wrongQueries: Record<string, string> = {
  "page=0": "page",
  "page=-1": "page",
  "page=1.5": "page",
  "page=x": "page",
  "page=99999999999999999999": "page",
  "limit=0": "limit",
  "limit=1001": "limit",
  "limit=ten": "limit",
  "limit=": "limit",
  "search_content=tea&limit=101": "limit",
  "sort_by=colour": "sort_by",
  "sort_by=": "sort_by",
  "sort_order=up": "sort_order",
  "cursor=x": "cursor",
  "user_id=a%00b": "user_id",
  [`search_content=${"x".repeat(1001)}`]: "search_content",
};

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let url: string;
  let kept: Memory;

  beforeAll(async () => {
    server = await startServer({ db: engine.connect(await engine.createLocation()) });
    url = server.url;
    kept = await remember(url, "u", "Likes tea", ["drinks"]);
  });
  afterAll(() => server.close());

  async function refusal(answer: Response): Promise<{ loc: unknown[]; msg: string; input?: unknown }> {
    expect(answer.status).toBe(422);
    const { detail, request_id } = await answer.json();
    expect(request_id).toEqual(expect.any(String));
    expect(detail[0]).toMatchObject({ type: expect.any(String), msg: expect.stringMatching(/./) });
    return detail[0];
  }

  test.each(Object.entries(wrongMemories))("a new memory, and a patch: %s", async (_, [body, loc, input]) => {
    for (const [method, path] of [
      ["POST", "/memories"],
      ["PATCH", `/memories/${kept.memory_id}`],
    ] as const) {
      const named = await refusal(await send(url, method, path, body));
      expect(named.loc).toEqual(loc);
      if (input !== undefined) expect(named.input).toEqual(input);
    }
    expect(await textsOf(url, "u")).toEqual(["Likes tea"]);
  });

  test.each([{ memory: "x" }, { memory: "x", user_id: null }, { memory: "x", user_id: "" }])(
    "a new memory of nobody: %o",
    async (body) => {
      const answer = await send(url, "POST", "/memories", body);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ detail: "User ID is required" });
    },
  );

  test.each(Object.entries(wrongDeletes))(
    "a multi-delete: %s, and nothing is deleted",
    async (_, [body, loc, input]) => {
      const text = JSON.stringify(body).replaceAll("ID", kept.memory_id);
      const named = await refusal(await send(url, "DELETE", "/memories", text));
      expect(named.loc).toEqual(loc);
      if (input !== undefined) expect(named.input).toEqual(input);
      expect(await textsOf(url, "u")).toEqual(["Likes tea"]);
    },
  );

  test.each(Object.entries(wrongQueries))("a list: %s", async (query, field) => {
    const named = await refusal(await fetch(`${url}/memories?${query}`));
    expect(named.loc).toEqual(["query", field]);
    expect(named.input).toEqual(expect.any(String));
  });

  test.each(["page=0", "limit=0", "limit=1001"])("the numbers of users: %s", async (query) => {
    const named = await refusal(await fetch(`${url}/user_memory_stats?${query}`));
    expect(named.loc).toEqual(["query", query.split("=")[0]]);
  });

  test.each<[unknown, string]>([
    [{}, "user_id"],
    [{ user_id: "" }, "user_id"],
    [{ user_id: "u", apply: "maybe" }, "apply"],
    [{ user_id: "u", model: 7 }, "model"],
    [{ user_id: "u", model: "gpt-unknown" }, "model"],
  ])("an optimization: %o", async (body, field) => {
    expect((await refusal(await send(url, "POST", "/optimize-memories", body))).loc).toEqual(["body", field]);
  });

  test("a form is 415, and more than 1 MiB is 413", async () => {
    for (const [method, path] of [
      ["POST", "/memories"],
      ["PATCH", `/memories/${kept.memory_id}`],
      ["DELETE", "/memories"],
      ["POST", "/optimize-memories"],
    ] as const) {
      const form = new URLSearchParams({ memory: "x", user_id: "u" });
      expect([path, (await fetch(url + path, { method, body: form })).status]).toEqual([path, 415]);
      const large = { memory: "x".repeat(1024 * 1024), user_id: "u" };
      expect([path, (await send(url, method, path, large)).status]).toEqual([path, 413]);
    }
    expect(await textsOf(url, "u")).toEqual(["Likes tea"]);
  });
});
