import { Agent, AgentOS, EchoModel, ModelError, type ModelRequest } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { list, remember, send, textsOf } from "../support/memories.ts";

describe.each(engines)("on $name", (engine) => {
  let os: AgentOS;
  let url: string;
  /** Stands in for what the model makes of the memories. */
  let merge: (request: ModelRequest) => string;

  beforeAll(async () => {
    const db = engine.connect(await engine.createLocation());
    const plain = new Agent({ id: "plain", model: new EchoModel({ respond: () => "the wrong model" }) });
    const model = Object.assign(new EchoModel({ respond: (request) => merge(request) }), { id: "merger" });
    const keeper = new Agent({ id: "keeper", model, enableAgenticMemory: true });
    os = new AgentOS({ agents: [plain, keeper], db, logLevel: "silent" });
    url = (await os.serve({ port: 0, banner: false, handleSignals: false })).url;
  });
  afterAll(() => os.close());

  const optimize = async (body: object) => {
    const answer = await send(url, "POST", "/optimize-memories", body);
    return { status: answer.status, body: await answer.json() };
  };
  const merged = (...memories: string[]) =>
    JSON.stringify({ memories: memories.map((memory) => ({ memory, topics: ["drinks"] })) });

  /** A user of whom two things are remembered. */
  async function twoOf(user: string): Promise<void> {
    await remember(url, user, "Likes black tea in the morning, with milk", ["drinks"]);
    await remember(url, user, "Likes green tea in the evening, with honey", ["drinks", "evening"]);
  }

  test("a preview shows what would be, and changes nothing", async () => {
    await twoOf("preview");
    const before = await list(url, "user_id=preview");
    let asked: ModelRequest | undefined;
    merge = (request) => {
      asked = request;
      return merged("Likes tea, day and night");
    };
    const { status, body } = await optimize({ user_id: "preview", apply: false });
    expect([status, body]).toEqual([
      200,
      {
        memories: [
          {
            memory_id: expect.any(String),
            memory: "Likes tea, day and night",
            topics: ["drinks"],
            agent_id: null,
            team_id: null,
            user_id: "preview",
            created_at: expect.any(String),
            updated_at: expect.any(String),
          },
        ],
        memories_before: 2,
        memories_after: 1,
        tokens_before: 22,
        tokens_after: 6,
        tokens_saved: 16,
        reduction_percentage: expect.closeTo(72.7, 1),
      },
    ]);
    expect(asked?.messages.at(-1)?.content).toMatch(/black tea.*\n.*green tea/);
    expect((await list(url, "user_id=preview")).data).toEqual(before.data);
  });

  test("applied, the merged ones stand in the place of the old", async () => {
    await twoOf("applied");
    await remember(url, "bystander", "Likes tea");
    merge = () => merged("Likes tea", "Has it with milk or honey");
    const { body } = await optimize({ user_id: "applied" });
    expect(body).toMatchObject({ memories_before: 2, memories_after: 2 });
    const after = await list(url, "user_id=applied&sort_by=created_at&sort_order=asc");
    expect(after.data).toEqual(body.memories);
    expect(after.data.map(({ memory }) => memory)).toEqual(["Likes tea", "Has it with milk or honey"]);
    expect((await list(url, "user_id=applied&search_content=black")).data).toEqual([]);
    expect(await (await fetch(`${url}/memory_topics?user_id=applied`)).json()).toEqual(["drinks"]);
    expect(await textsOf(url, "bystander")).toEqual(["Likes tea"]);
  });

  test("what saves nothing is not applied, and no error", async () => {
    await twoOf("nothing");
    merge = () => merged("Likes ".repeat(100));
    const { status, body } = await optimize({ user_id: "nothing" });
    expect([status, body]).toMatchObject([
      200,
      { memories_before: 2, memories_after: 2, tokens_saved: 0, reduction_percentage: 0 },
    ]);
    expect(body.memories.map(({ memory }: { memory: string }) => memory)).toEqual(
      await textsOf(url, "nothing"),
    );
  });

  test.each([
    ["in words", () => "Likes tea"],
    [
      "in a code block",
      () =>
        `\`\`\`json\n${JSON.stringify({ memories: [{ memory: "Likes tea", topics: ["drinks", "evening"] }] })}\n\`\`\``,
    ],
  ])("a model that answers %s is understood", async (name, answer) => {
    await twoOf(name);
    merge = answer;
    await optimize({ user_id: name });
    expect((await list(url, `user_id=${name}`)).data).toMatchObject([
      { memory: "Likes tea", topics: ["drinks", "evening"] },
    ]);
  });

  test.each<[string, () => string]>([
    [
      "fails",
      () => {
        throw new ModelError("The provider is away.", { retryable: true });
      },
    ],
    ["gives no memories", () => merged()],
    ["gives an empty one", () => merged("Likes tea", " ")],
    ["gives one over the limit", () => merged("x".repeat(5001))],
    ["gives another shape", () => '{"memories":["Likes tea"]}'],
    ["says nothing", () => ""],
  ])("a model that %s is 503, and all stays as it was", async (name, answer) => {
    await twoOf(name);
    const before = await textsOf(url, name);
    merge = answer;
    const { status, body } = await optimize({ user_id: name });
    expect([status, body.detail]).toEqual([503, expect.stringMatching(/./)]);
    expect(await textsOf(url, name)).toEqual(before);
  });

  test("what is forgotten while the model is at it does not come back", async () => {
    await twoOf("race");
    const [first] = (await list(url, "user_id=race")).data;
    const asked = Promise.withResolvers<void>();
    const deleted = Promise.withResolvers<void>();
    const slow = {
      id: "slow",
      provider: "test",
      name: "Slow",
      async *generate() {
        asked.resolve();
        await deleted.promise;
        yield { type: "text" as const, delta: merged("Likes tea") };
      },
    };
    const other = new AgentOS({
      agents: [new Agent({ id: "a", model: slow })],
      db: os.db,
      logLevel: "silent",
    });
    const answer = other.getApp().request("/optimize-memories", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user_id: "race" }),
    });
    await asked.promise;
    await send(url, "DELETE", "/memories", { memory_ids: [first?.memory_id] });
    deleted.resolve();
    expect((await answer).status).toBe(409);
    expect(await textsOf(url, "race")).toHaveLength(1);
  });

  test("a model may be named if it is served", async () => {
    await twoOf("model");
    merge = () => merged("Likes tea");
    expect(
      (await optimize({ user_id: "model", model: "offline-echo", apply: false })).body.memories,
    ).toMatchObject([{ memory: "the wrong model" }]);
    for (const model of ["merger", "offline:merger", "", null]) {
      expect((await optimize({ user_id: "model", model, apply: false })).body.memories).toMatchObject([
        { memory: "Likes tea" },
      ]);
    }
    expect((await optimize({ user_id: "model", model: "gpt-4" })).status).toBe(422);
  });

  test("a user of whom nothing is remembered is 404", async () => {
    expect(await optimize({ user_id: "nobody" })).toMatchObject({
      status: 404,
      body: { detail: "No memories found for user nobody" },
    });
  });
});
