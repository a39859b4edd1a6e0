import { Agent, AgentOS, ConfigurationError, EchoModel, SqliteDb } from "agentos-ts";
import { describe, expect, onTestFinished, test } from "vitest";
import { engines } from "../support/engines.ts";

const model = new EchoModel();
const memory = () => new SqliteDb({ path: ":memory:" });

describe("an AgentOS", () => {
  test("takes the database that its agents share", () => {
    const db = memory();
    const agents = [
      new Agent({ id: "one", model, db }),
      new Agent({ id: "two", model, db }),
      new Agent({ id: "three", model }),
    ];
    expect(new AgentOS({ agents }).db).toBe(db);
  });

  test("refuses agents with different databases, and one that differs from its own", () => {
    const one = new Agent({ id: "one", model, db: memory() });
    const two = new Agent({ id: "two", model, db: memory() });
    for (const options of [{ agents: [one, two] }, { agents: [one], db: memory() }]) {
      expect(() => new AgentOS(options)).toThrow(ConfigurationError);
      expect(() => new AgentOS(options)).toThrow("different databases");
    }
  });

  test("with a database of its own stores the runs of all agents there", async () => {
    const db = memory();
    const agent = new Agent({ id: "one", model });
    const os = new AgentOS({ agents: [agent], db });
    onTestFinished(() => os.close());
    const { runId } = await agent.run("hello");
    expect((await os.getApp().request(`/agents/one/runs/${runId}`)).status).toBe(200);
  });

  test("refuses two agents with the same id", () => {
    const agents = [new Agent({ id: "one", model }), new Agent({ id: "one", model })];
    expect(() => new AgentOS({ agents })).toThrow("AgentOS: more than one agent has the id one.");
  });

  test("that was closed takes no more runs, and can be closed again", async () => {
    const agent = new Agent({ id: "one", model });
    const os = new AgentOS({ agents: [agent] });
    await agent.run("hello");
    await Promise.all([os.close(), os.close()]);
    await os.close();
    await expect(agent.run("hello")).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe.each(engines)("a database on $name", (engine) => {
  test("is opened once, however many open it", async () => {
    const db = engine.connect(await engine.createLocation());
    await Promise.all([db.open(), db.open(), db.open()]);
    await db.ping();
    await db.close();
  });

  test("can be closed twice, and without ever having been opened", async () => {
    const db = engine.connect(await engine.createLocation());
    await db.open();
    await Promise.all([db.close(), db.close()]);
    await db.close();
    const unopened = engine.connect(await engine.createLocation());
    await unopened.close();
  });

  test("that was closed is free for the next one", async () => {
    const location = await engine.createLocation();
    const first = new Agent({ id: "one", model, db: engine.connect(location) });
    const { runId } = await first.run("hello");
    await first.db?.close();
    const again = new Agent({ id: "one", model, db: engine.connect(location) });
    const os = new AgentOS({ agents: [again] });
    onTestFinished(() => os.close());
    expect((await os.getApp().request(`/agents/one/runs/${runId}`)).status).toBe(200);
  });
});
