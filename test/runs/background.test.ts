import { tool } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { readFrames } from "../support/read-events.ts";
import { runsOf } from "../support/runs.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** Holds runs in a tool until a test lets them go on. */
class Gate {
  readonly #held = new Map<string, () => void>();
  /** The names in the order in which they came. */
  readonly order: string[] = [];

  hold(name: string): Promise<string> {
    this.order.push(name);
    return new Promise((resolve) => this.#held.set(name, () => resolve(`${name} went on`)));
  }

  open(name: string): void {
    this.#held.get(name)!();
    this.#held.delete(name);
  }

  arrived(name: string): Promise<boolean> {
    return vi.waitUntil(() => this.#held.has(name), { timeout: 10_000 });
  }
}

describe.each(engines)("on $name", (engine) => {
  const gate = new Gate();
  let server: TestServer;
  let runs: ReturnType<typeof runsOf>;
  let busy = async () => "done";

  beforeAll(async () => {
    const wait = tool({
      name: "wait",
      description: "Waits.",
      inputSchema: z.object({ name: z.string() }),
      execute: ({ name }) => gate.hold(name),
    });
    const work = tool({
      name: "work",
      description: "Works.",
      inputSchema: z.object({}),
      execute: () => busy(),
    });
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [wait, work] },
      os: { queue: { concurrency: 2, total: 8, user: 4, session: 3 } },
    });
    runs = runsOf(server);
  });
  afterAll(() => server.close());

  const inBackground = async (message: string, more: object = {}) => {
    const answer = await runs.create({ message, background: true, ...more });
    return (await answer.json()) as { run_id: string; session_id: string; status: string };
  };
  const held = (name: string) => `[[tool=wait ${JSON.stringify({ name })}]]`;

  test("is accepted with 202, then polled to its end", async () => {
    const accepted = await inBackground("hello", { session_id: "poll", user_id: "sarah@acme.com" });
    expect(accepted).toEqual({
      status: "pending",
      run_id: expect.stringMatching(/^run_/),
      session_id: "poll",
    });
    expect(await runs.ended(accepted.run_id)).toMatchObject({
      status: "completed",
      content: expect.stringContaining("You said: hello"),
      user_id: "sarah@acme.com",
      session_id: "poll",
    });
  });

  test("takes everything along that the request brings", async () => {
    const body = new FormData();
    body.set("message", `ask [[say={"answer":"yes"}]]`);
    body.set("background", "true");
    body.set("output_schema", '{"title":"Answer","type":"object","properties":{"answer":{"type":"string"}}}');
    body.set("metadata", '{"ticket":7}');
    body.set("session_state", '{"step":1}');
    body.append("files", new File(["a,b"], "table.csv", { type: "text/csv" }));
    const answer = await fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body });
    expect(answer.status).toBe(202);
    const { run_id } = (await answer.json()) as { run_id: string };
    expect(await runs.ended(run_id)).toMatchObject({
      status: "completed",
      content: { answer: "yes" },
      content_type: "Answer",
      metadata: { ticket: 7 },
      session_state: { step: 1 },
    });
    expect(JSON.stringify(server.model.requests.at(-1)?.body)).toContain("table.csv");
  });

  test("with stream, its events follow, and it goes on when the reader leaves", async () => {
    const whole = await readFrames(await runs.create({ message: "a b c", background: true, stream: true }));
    expect(whole.map(({ id }) => Number(id))).toEqual(whole.map((_, i) => i));
    expect(whole.at(-1)).toMatchObject({ event: "RunCompleted" });

    const leave = new AbortController();
    const cut = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message: "x [[tokens=30]] [[delay=5]]", background: true, stream: true }),
      signal: leave.signal,
    });
    const reader = cut.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("RunContent")) text += (await reader.read()).value ?? "";
    leave.abort();
    const runId = /"run_id":"([^"]+)"/.exec(text)![1]!;
    expect(await runs.ended(runId)).toMatchObject({ status: "completed" });
  });

  test("runs of a session keep their order and never overlap, and those of others go on beside", async () => {
    const first = await inBackground(held("first"), { session_id: "order" });
    const second = await inBackground(held("second"), { session_id: "order" });
    const other = await inBackground(held("other"), { session_id: "another" });
    await gate.arrived("first");
    await gate.arrived("other");
    expect(await runs.get(second.run_id)).toMatchObject({ status: "pending" });
    gate.open("first");
    await gate.arrived("second");
    expect(await runs.get(first.run_id)).toMatchObject({ status: "completed" });
    gate.open("second");
    gate.open("other");
    expect(await runs.ended(second.run_id)).toMatchObject({ status: "completed" });
    expect(await runs.ended(other.run_id)).toMatchObject({ status: "completed" });
    expect(gate.order.indexOf("first")).toBeLessThan(gate.order.indexOf("second"));
  });

  test("what waits can be followed and cancelled, and never runs then", async () => {
    const first = await inBackground(held("holds"), { session_id: "waits" });
    await gate.arrived("holds");
    const asked = server.model.requests.length;
    const second = await inBackground("never", { session_id: "waits" });
    const followed = runs.resume(second.run_id).then((answer) => answer.text());
    expect((await runs.cancel(second.run_id)).status).toBe(200);
    expect(await followed).toContain("event: RunCancelled");
    expect(await runs.get(second.run_id)).toMatchObject({ status: "cancelled" });
    gate.open("holds");
    await runs.ended(first.run_id);
    expect(JSON.stringify(server.model.requests.slice(asked))).not.toContain("never");
  });

  test("a user with many waiting does not hold up another's first", async () => {
    const names = ["u1", "u2", "u3", "u4"];
    const of = (user: string) => (name: string) =>
      inBackground(held(name), { session_id: `${user}-${name}`, user_id: user });
    const busy = await Promise.all(names.slice(0, 2).map(of("busy")));
    await gate.arrived("u1");
    await gate.arrived("u2");
    const waiting = [await of("busy")("u3"), await of("busy")("u4")];
    const quick = await of("quick")("quick");
    gate.open("u1");
    await gate.arrived("quick");
    expect(await runs.get(waiting[0]!.run_id)).toMatchObject({ status: "pending" });
    for (const name of ["quick", "u2", "u3", "u4"]) {
      await gate.arrived(name);
      gate.open(name);
    }
    for (const { run_id } of [...busy, ...waiting, quick]) await runs.ended(run_id);
  });

  test("no more are under way at once than the server may do, however they come", async () => {
    let [now, most] = [0, 0];
    busy = async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      return "done";
    };
    for (let i = 0; i < 6; i++) {
      const four = await Promise.all([0, 1, 2, 3].map(() => inBackground("[[tool=work {}]]")));
      const ended = await Promise.all(four.map(({ run_id }) => runs.ended(run_id)));
      expect(ended.map(({ status }) => status)).toEqual(Array(4).fill("completed"));
    }
    expect(most).toBeLessThanOrEqual(2);
  });

  test("a full queue answers 429 with Retry-After, and writes nothing", async () => {
    const holding = [
      await inBackground(held("one"), { session_id: "full-1" }),
      await inBackground(held("two"), { session_id: "full-2" }),
    ];
    await gate.arrived("one");
    await gate.arrived("two");
    const waiting = [];
    for (let i = 0; i < 3; i++) waiting.push(await inBackground("x", { session_id: "full-1", user_id: "a" }));
    const refused = async (more: object) => {
      const answer = await runs.create({ message: "x", background: true, ...more });
      expect(answer.status).toBe(429);
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      return JSON.stringify(await answer.json());
    };
    expect(await refused({ session_id: "full-1", user_id: "a" })).toContain("of this session");
    waiting.push(await inBackground("x", { session_id: "full-3", user_id: "a" }));
    expect(await refused({ session_id: "new", user_id: "a" })).toContain("of this user");
    expect((await fetch(`${server.url}/sessions/new?type=agent`)).status).toBe(404);
    for (let i = 0; i < 4; i++) waiting.push(await inBackground("x", { session_id: `full-b${i}` }));
    expect(await refused({})).toContain("Too many background runs are waiting");
    gate.open("one");
    gate.open("two");
    for (const { run_id } of [...holding, ...waiting]) {
      expect(await runs.ended(run_id)).toMatchObject({ status: "completed" });
    }
  });

  test("stored is what was followed, also where the model fails", async () => {
    const { run_id } = await inBackground("x [[error=400]]");
    expect(await runs.ended(run_id)).toMatchObject({ status: "error", content: expect.any(String) });
  });
});

test("without a database it is 400, with the reason", async () => {
  const server = await startServer();
  const answer = await runsOf(server).create({ message: "hi", background: true });
  expect(answer.status).toBe(400);
  expect(JSON.stringify(await answer.json())).toContain("database");
  await server.close();
});
