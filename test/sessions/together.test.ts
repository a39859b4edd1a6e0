import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { send } from "../support/memories.ts";
import { remember } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Sessions } from "../support/sessions.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let sessions: Sessions;

  beforeAll(async () => {
    const db = engine.connect(await engine.createLocation());
    server = await startServer({ db, agent: { tools: [remember] } });
    sessions = new Sessions(server.url);
  });
  afterAll(() => server.close());

  test("of 32 who run in one session at once, no run and no key of the state is lost", async () => {
    const numbers = Array.from({ length: 32 }, (_, n) => n);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        numbers.map(async (n) => {
          const message = `[[tool=remember {"key":"k${round}-${n}","value":"v${n}"}]]`;
          const answer = await server.run({
            message,
            session_id: "shared",
            user_id: "ada",
            stream: n % 2 === 0,
          });
          await answer.text();
          return answer.status;
        }),
      );
      expect(answers).toEqual(numbers.map(() => 200));
    }
    const runs = await sessions.runs("shared", "limit=1000&status=completed");
    expect(new Set(runs.map(({ run_id }) => run_id)).size).toBe(96);
    const { session_state } = await sessions.get("shared");
    for (let round = 0; round < 3; round++) {
      for (const n of numbers) expect(session_state[`k${round}-${n}`]).toBe(`v${n}`);
    }
  });

  test("renames, patches and runs at once all succeed, and each change is there", async () => {
    await sessions.create({ session_id: "busy", user_id: "bo" });
    const work = Array.from({ length: 32 }, async (_, n) => {
      const path = "/sessions/busy";
      if (n % 4 === 0)
        return (await server.run({ message: "x", session_id: "busy", user_id: "bo", stream: false })).status;
      if (n % 4 === 1)
        return (await send(server.url, "POST", `${path}/rename?user_id=bo`, { session_name: `n${n}` }))
          .status;
      if (n % 4 === 2) return (await send(server.url, "PATCH", path, { metadata: { n } })).status;
      return (await fetch(`${server.url}${path}?user_id=bo`)).status;
    });
    expect(await Promise.all(work)).toEqual(Array(32).fill(200));
    const session = await sessions.get("busy");
    expect(session.session_name).toMatch(/^n\d+$/);
    expect(session.metadata).toEqual({ n: expect.any(Number) });
    expect(await sessions.runs("busy")).toHaveLength(8);
    expect(await sessions.ids(`user_id=bo&search=${session.session_name}`)).toEqual(["busy"]);
  });

  test("of many users who come to a session without an owner at once, one gets it", async () => {
    await sessions.create({ session_id: "orphan" });
    const statuses = await Promise.all(
      Array.from({ length: 16 }, (_, n) =>
        sessions.status("PATCH", `/sessions/orphan?user_id=user${n}`, { session_name: `of ${n}` }),
      ),
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 404)).toHaveLength(15);
    const { user_id, session_name } = await sessions.get("orphan");
    expect(session_name).toBe(`of ${user_id?.slice("user".length)}`);
  });
});
