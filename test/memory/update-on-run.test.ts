import { EchoModel, type Model, type ModelRequest } from "agentos-ts";
import { describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { list, remember, send, textsOf } from "../support/memories.ts";
import { outline, readEvents } from "../support/read-events.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** An agent that remembers after its runs; `extract` stands in for what the model makes of an exchange. */
async function start(
  engine: (typeof engines)[number],
  extract: (request: ModelRequest) => string,
  location?: string,
): Promise<TestServer & { prompts: string[] }> {
  const prompts: string[] = [];
  const respond = (request: ModelRequest) => {
    if (request.output) return extract(request);
    prompts.push(request.messages[0]?.role === "system" ? (request.messages[0].content ?? "") : "");
    return "Nice to hear.";
  };
  const server = await startServer({
    db: engine.connect(location ?? (await engine.createLocation())),
    agent: { model: new EchoModel({ respond }), updateMemoryOnRun: true },
  });
  return Object.assign(server, { prompts });
}

const add = (memory: string) => JSON.stringify({ operations: [{ op: "add", memory, topics: ["drinks"] }] });

describe.each(engines)("on $name", (engine) => {
  test("what is worth it is remembered after the answer, with where it comes from", async () => {
    const seen = Promise.withResolvers<ModelRequest>();
    const server = await start(engine, (request) => {
      seen.resolve(request);
      return add("Likes tea");
    });
    await remember(server.url, "ada", "Lives in Oslo");
    const answer = await server.run({
      message: "I like tea",
      user_id: "ada",
      session_id: "s",
      stream: false,
    });
    const { run_id } = await answer.json();
    const [instructions, exchange] = (await seen.promise).messages;
    expect(instructions?.role).toBe("system");
    expect(exchange?.content).toMatch(/Lives in Oslo.*user: I like tea\nassistant: Nice to hear\./s);
    await expect.poll(() => textsOf(server.url, "ada")).toEqual(["Lives in Oslo", "Likes tea"]);
    expect((await list(server.url, "user_id=ada&agent_id=copilot")).data).toMatchObject([
      { memory: "Likes tea", topics: ["drinks"], run_id, session_id: "s", input: "I like tea" },
    ]);
    await server.close();
  });

  test("the next run is told, without ids to change and without a tool", async () => {
    const server = await start(engine, () => '{"operations":[]}');
    await remember(server.url, "ada", "Likes tea");
    const events = await readEvents(await server.run({ message: "hello", user_id: "ada" }));
    expect(server.prompts[0]).toContain("Likes tea");
    expect(server.prompts[0]).not.toContain("update_user_memory");
    expect(outline(events).filter((name) => name.includes("Tool") || name.includes("Memory"))).toEqual([]);
    await server.close();
  });

  test("the answer does not wait for it", async () => {
    const answered = Promise.withResolvers<void>();
    const model: Model = {
      id: "slow",
      provider: "test",
      name: "Slow",
      async *generate({ output }) {
        if (output) await answered.promise;
        yield { type: "text", delta: output ? add("Likes tea") : "Nice." };
      },
    };
    const db = engine.connect(await engine.createLocation());
    const server = await startServer({ db, agent: { model, updateMemoryOnRun: true } });
    const answer = await server.run({ message: "I like tea", user_id: "ada", stream: false });
    expect(await answer.json()).toMatchObject({ status: "completed", content: "Nice." });
    expect(await textsOf(server.url, "ada")).toEqual([]);
    answered.resolve();
    await expect.poll(() => textsOf(server.url, "ada")).toEqual(["Likes tea"]);
    await server.close();
  });

  test("nothing is remembered of a run that was deleted meanwhile", async () => {
    const asked = Promise.withResolvers<void>();
    const erased = Promise.withResolvers<void>();
    const model: Model = {
      id: "slow",
      provider: "test",
      name: "Slow",
      async *generate({ output }) {
        if (output) {
          asked.resolve();
          await erased.promise;
        }
        yield { type: "text", delta: output ? add("Likes tea") : "Nice." };
      },
    };
    const location = await engine.createLocation();
    const server = await startServer({
      db: engine.connect(location),
      agent: { model, updateMemoryOnRun: true },
    });
    await server.run({ message: "I like tea", user_id: "ada", session_id: "s", stream: false });
    await asked.promise;
    expect((await fetch(`${server.url}/users/ada`, { method: "DELETE" })).status).toBe(200);
    erased.resolve();
    await server.close();
    const reopened = await startServer({ db: engine.connect(location) });
    expect(await textsOf(reopened.url, "ada")).toEqual([]);
    await reopened.close();
  });

  test("closing the server waits for it", async () => {
    const location = await engine.createLocation();
    const respond = ({ output }: ModelRequest) => (output ? add("Likes tea") : "Nice.");
    const agent = { model: new EchoModel({ respond }), updateMemoryOnRun: true };
    const first = await startServer({ db: engine.connect(location), agent });
    for (let i = 0; i < 5; i++) await first.run({ message: "hi", user_id: `user${i}`, stream: false });
    await first.close();
    const second = await startServer({ db: engine.connect(location), agent });
    for (let i = 0; i < 5; i++) expect(await textsOf(second.url, `user${i}`)).toEqual(["Likes tea"]);
    await second.close();
  });

  test.each<[string, () => string]>([
    [
      "fails",
      () => {
        throw new Error("the model is away");
      },
    ],
    ["says no JSON", () => "I would remember the tea."],
    ["asks for what is none", () => '{"operations":[{"op":"clear"}]}'],
    [
      "names a memory of somebody else",
      () => '{"operations":[{"op":"add","memory":"x"},{"op":"delete","memory_id":"EVE"}]}',
    ],
  ])("a model that %s changes nothing, and the run is as it was", async (_, extract) => {
    let eve = "";
    const location = await engine.createLocation();
    const server = await start(engine, () => extract().replace("EVE", eve), location);
    eve = (await remember(server.url, "eve", "Hates tea")).memory_id;
    const events = await readEvents(await server.run({ message: "hi", user_id: "ada", session_id: "s" }));
    expect(events.at(-1)).toMatchObject({ event: "RunCompleted", content: "Nice to hear." });
    await server.close();
    const reopened = await startServer({ db: engine.connect(location) });
    expect(await textsOf(reopened.url, "ada")).toEqual([]);
    expect(await textsOf(reopened.url, "eve")).toEqual(["Hates tea"]);
    await reopened.close();
  });

  test("nothing is looked for in a run without a user, nor in one that failed", async () => {
    let looked = 0;
    const respond = ({ output }: ModelRequest) => {
      if (!output) throw new Error("no answer");
      looked++;
      return add("x");
    };
    const failing = await startServer({
      agent: { model: new EchoModel({ respond }), updateMemoryOnRun: true },
    });
    await failing.run({ message: "hi", user_id: "ada", stream: false });
    await failing.close();
    const server = await start(engine, () => {
      looked++;
      return add("x");
    });
    await server.run({ message: "hi", stream: false });
    await server.close();
    expect(looked).toBe(0);
  });

  test("what the user takes back by hand meanwhile stays as they left it", async () => {
    const server = await start(engine, () => '{"operations":[]}');
    const { memory_id } = await remember(server.url, "ada", "Likes tea");
    await server.run({ message: "hi", user_id: "ada", stream: false });
    await send(server.url, "DELETE", "/memories", { memory_ids: [memory_id] });
    await server.run({ message: "hi", user_id: "ada", stream: false });
    expect(server.prompts.at(-1)).not.toContain("Likes tea");
    await server.close();
  });
});
