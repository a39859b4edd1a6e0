import { tool } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { RunCancelledError } from "../../src/errors.ts";
import { engines } from "../support/engines.ts";
import { readFrames } from "../support/read-events.ts";
import { runsOf } from "../support/runs.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let runs: ReturnType<typeof runsOf>;
  let release: (() => void) | undefined;

  beforeAll(async () => {
    const wait = tool({
      name: "wait",
      description: "Waits.",
      inputSchema: z.object({}),
      execute: () =>
        new Promise<string>((resolve) => {
          release = () => resolve("done");
        }),
    });
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [wait] },
    });
    runs = runsOf(server);
  });
  afterAll(() => server.close());

  /** A run that is in the middle of a tool. */
  async function busy(session: string, background: boolean) {
    release = undefined;
    const answer = runs.create({
      message: "so far [[tool=wait {}]]",
      session_id: session,
      stream: false,
      background,
    });
    await vi.waitUntil(() => release !== undefined, { timeout: 10_000 });
    return answer;
  }
  const run = async (session: string, more: object) =>
    runs.create({ message: "next", session_id: session, stream: false, ...more });

  test("parallel, the default in foreground: both go on side by side", async () => {
    const first = busy("parallel", false);
    await vi.waitUntil(() => release !== undefined, { timeout: 10_000 });
    expect(await (await run("parallel", {})).json()).toMatchObject({ status: "completed" });
    release!();
    expect(await (await first).json()).toMatchObject({ status: "completed" });
  });

  test.each([false, true])(
    "enqueue: it waits until the other has ended (background: %s)",
    async (background) => {
      const session = `enqueue-${background}`;
      const answered = busy(session, background);
      await vi.waitUntil(() => release !== undefined, { timeout: 10_000 });
      let done = false;
      const second = run(session, { on_busy: "enqueue" }).then(async (answer) => {
        done = true;
        return answer.json();
      });
      const listed = () =>
        fetch(`${server.url}/agents/copilot/runs?session_id=${session}`).then((answer) => answer.json());
      await vi.waitUntil(async () => (await listed()).length === 2);
      expect((await listed())[1]).toMatchObject({ status: "pending" });
      expect(done).toBe(false);
      release!();
      const first = await (await answered).json();
      const next = await second;
      expect(next).toMatchObject({ status: "completed" });
      expect(await runs.ended(first.run_id)).toMatchObject({ status: "completed" });
    },
  );

  test("a foreground run that waits can be cancelled, and its caller is told", async () => {
    const answered = busy("cancelled", false);
    await vi.waitUntil(() => release !== undefined, { timeout: 10_000 });
    const second = run("cancelled", { on_busy: "enqueue" });
    const listed = () =>
      fetch(`${server.url}/agents/copilot/runs?session_id=cancelled`).then((answer) => answer.json());
    await vi.waitUntil(async () => (await listed()).length === 2);
    expect((await runs.cancel((await listed())[1].run_id)).status).toBe(200);
    expect(await (await second).json()).toMatchObject({ status: "cancelled" });
    release!();
    await answered;
  });

  test("a run that waits and is ended by another process: its stream and its caller's code are told the end", async () => {
    const answered = busy("elsewhere", false);
    await vi.waitUntil(() => release !== undefined, { timeout: 10_000 });
    const streamed = await run("elsewhere", { on_busy: "enqueue", stream: true });
    const fromCode = (async () => {
      const events: string[] = [];
      const stream = server.agent.stream("next", { sessionId: "elsewhere", onBusy: "enqueue" });
      for await (const { event } of stream) events.push(event);
      return events;
    })();
    const listed = () =>
      fetch(`${server.url}/agents/copilot/runs?session_id=elsewhere`).then((answer) => answer.json());
    await vi.waitUntil(async () => (await listed()).length === 3);
    const waiting: { run_id: string }[] = (await listed()).slice(1);
    // As another process does it: nothing here hears of it.
    for (const { run_id } of waiting) {
      await server.os.db.queue().cancel(run_id, new RunCancelledError("The run was cancelled."));
    }
    const frames = await readFrames(streamed);
    expect(frames.map(({ id, event }) => `${id} ${event}`)).toEqual(["0 RunCancelled"]);
    expect(waiting.map(({ run_id }) => run_id)).toContain(frames[0]!.data.run_id);
    expect(await fromCode).toEqual(["RunCancelled"]);
    release!();
    await answered;
  });

  test.each([false, true])("reject: 409, and nothing is written (background: %s)", async (background) => {
    const answered = busy("reject", false);
    await vi.waitUntil(() => release !== undefined, { timeout: 10_000 });
    const refused = await run("reject", { on_busy: "reject", background });
    expect(refused.status).toBe(409);
    expect(JSON.stringify(await refused.json())).toContain("on_busy");
    release!();
    await answered;
    const list = await fetch(`${server.url}/agents/copilot/runs?session_id=reject`);
    const before = (await list.json()).length;
    const taken = await run("reject", { on_busy: "reject" });
    expect(taken.status).toBe(200);
    expect(before).toBe(background ? 3 : 1);
  });

  test.each([false, true])(
    "interrupt: the other is cancelled, and what it said is kept (background: %s)",
    async (background) => {
      const session = `interrupt-${background}`;
      const answered = busy(session, background);
      await vi.waitUntil(() => release !== undefined, { timeout: 10_000 });
      const next = await (await run(session, { on_busy: "interrupt" })).json();
      expect(next).toMatchObject({ status: "completed" });
      const first = await (await answered).json();
      expect(await runs.ended(first.run_id)).toMatchObject({ status: "cancelled" });
    },
  );

  test("from code, a run says it in the same way", async () => {
    const answered = busy("code", false);
    await vi.waitUntil(() => release !== undefined, { timeout: 10_000 });
    const refused = await server.agent
      .run("next", { sessionId: "code", onBusy: "reject" })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "conflict" });
    release!();
    await answered;
  });
});
