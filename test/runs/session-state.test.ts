import { Agent, AgentOS, EchoModel } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { forget, remember } from "../support/run-tools.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let location: string;

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({
      db: engine.connect(location),
      agent: { tools: [remember, forget], sessionState: { plan: "free" } },
    });
  });
  afterAll(() => server.close());

  const run = async (body: object) => (await server.run({ stream: false, ...body })).json();
  const keep = (key: string, value = "x") => `[[tool=remember {"key":"${key}","value":"${value}"}]]`;
  const state = async (session_id: string) => (await run({ message: "hi", session_id })).session_state;

  test("a new session begins with the agent's state, and a run's is laid over it", async () => {
    expect(await state("new")).toEqual({ plan: "free" });
    const given = await run({ message: "hi", session_id: "given", session_state: { plan: "pro", seats: 3 } });
    expect(given.session_state).toEqual({ plan: "pro", seats: 3 });
    expect(await state("given")).toEqual({ plan: "pro", seats: 3 });
  });

  test("what a tool changes is there in the next run", async () => {
    await run({ message: keep("colour", "red"), session_id: "tool" });
    expect(await state("tool")).toEqual({ plan: "free", colour: "red" });
  });

  test("what a run gives is laid over what the session has, key by key", async () => {
    await run({ message: "hi", session_id: "over", session_state: { a: 1, b: 1 } });
    await run({ message: "hi", session_id: "over", session_state: { b: 2, c: 2 } });
    expect(await state("over")).toEqual({ plan: "free", a: 1, b: 2, c: 2 });
  });

  test("a key that a tool deletes stays deleted", async () => {
    await run({ message: "hi", session_id: "gone", session_state: { a: 1 } });
    await run({ message: '[[tool=forget {"key":"a"}]]', session_id: "gone" });
    expect(await state("gone")).toEqual({ plan: "free" });
  });

  test("a key with a default is never missing: the next run has the default again", async () => {
    const forgot = await run({ message: '[[tool=forget {"key":"plan"}]]', session_id: "default" });
    expect(forgot.session_state).toEqual({});
    expect(Object.keys(await state("default"))).toEqual(["plan"]);
  });

  test("runs of one session that run at the same time lose none of each other's keys", async () => {
    const keys = Array.from({ length: 20 }, (_, i) => `key${i}`);
    await Promise.all(keys.map((key) => run({ message: `${keep(key)} [[delay=2]]`, session_id: "many" })));
    expect(Object.keys(await state("many")).toSorted()).toEqual([...keys, "plan"].toSorted());
  });

  test("a run that fails keeps what its tools changed", async () => {
    const failed = await run({ message: `${keep("a")} [[error=400]]`, session_id: "failed" });
    expect(failed.status).toBe("error");
    const half = await run({ message: `[[tool=remember {"key":"a","value":"x"}]]`, session_id: "failed" });
    expect(half.session_state).toMatchObject({ a: "x" });
  });

  test("a key named __proto__ is a key like others, and changes no object of the server", async () => {
    const answer = await server.run({
      message: "hi",
      session_id: "proto",
      stream: false,
      session_state: JSON.parse('{"__proto__":{"polluted":true},"a":1}') as object,
    });
    expect(answer.status).toBe(200);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(await state("proto")).toMatchObject({ a: 1 });
  });

  test("sessions of different ids share nothing", async () => {
    await run({ message: keep("secret"), session_id: "one" });
    expect(await state("two")).toEqual({ plan: "free" });
  });

  test("an agent that is called from code and one over HTTP see the same session", async () => {
    await server.agent.run(keep("from", "code"), { sessionId: "both", userId: "ada" });
    const answer = await run({ message: "hi", session_id: "both", user_id: "ada" });
    expect(answer.session_state).toEqual({ plan: "free", from: "code" });
  });

  test("a session without an owner becomes the first user's, and then is nobody else's", async () => {
    await run({ message: "hi", session_id: "orphan" });
    expect(
      (await server.run({ message: "hi", session_id: "orphan", user_id: "ada", stream: false })).status,
    ).toBe(200);
    for (const user_id of ["eve", undefined]) {
      expect((await server.run({ message: "hi", session_id: "orphan", user_id })).status).toBe(404);
    }
    const owners = await query(engine, location, "SELECT user_id FROM sessions WHERE session_id = 'orphan'");
    expect(owners).toMatchObject([{ user_id: "ada" }]);
  });

  test("of two users who claim a session at once, one gets it", async () => {
    const users = Array.from({ length: 10 }, (_, i) => `user${i}`);
    const statuses = await Promise.all(
      users.map(
        async (user_id) =>
          (await server.run({ message: "hi", session_id: "race", user_id, stream: false })).status,
      ),
    );
    expect(statuses.toSorted()).toEqual([200, ...Array.from({ length: 9 }, () => 404)]);
  });

  test("agents that share a session have a history of their own and one state", async () => {
    const db = engine.connect(await engine.createLocation());
    const agent = (id: string) =>
      new Agent({
        id,
        model: new EchoModel({ respond: ({ messages }) => `${messages.length} messages` }),
        addHistoryToContext: true,
      });
    const [a, b] = [agent("a"), agent("b")];
    const os = new AgentOS({ agents: [a, b], db });
    await a.run("one", { sessionId: "s", sessionState: { k: 1 } });
    const second = await b.run("two", { sessionId: "s" });
    expect(second.content).toBe("1 messages");
    expect((await a.run("three", { sessionId: "s" })).content).toBe("3 messages");
    await os.close();
  });
});
