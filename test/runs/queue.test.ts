import { EchoModel, ModelError, tool } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { runsOf } from "../support/runs.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** What operators see of background runs, and what they can do. */
describe.each(engines)("on $name", (engine) => {
  const held = Promise.withResolvers<string>();
  const arrived = Promise.withResolvers<void>();
  let server: TestServer;
  let runs: ReturnType<typeof runsOf>;

  beforeAll(async () => {
    const hold = tool({
      name: "hold",
      description: "Holds the run until the test lets it go.",
      inputSchema: z.object({}),
      execute: () => {
        arrived.resolve();
        return held.promise;
      },
    });
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [hold] },
      os: { queue: { concurrency: 1 } },
    });
    runs = runsOf(server);
  });
  afterAll(() => server.close());

  const get = async (path: string) => (await fetch(`${server.url}/queue/${path}`)).json();
  const submit = async (message: string, more: object = {}): Promise<string> => {
    const answer = await runs.create({ message, background: true, ...more });
    expect(answer.status).toBe(202);
    return (await answer.json()).run_id;
  };
  const idsOf = async (query: string) =>
    (await get(`jobs${query}`)).data.map((job: { id: string }) => job.id);

  test("the queue in numbers, job by job, and the servers that work it off", async () => {
    expect(await get("stats")).toEqual({
      counts: { queued: 0, running: 0, paused: 0, completed: 0, failed: 0, cancelled: 0 },
      oldest_queued_age_seconds: null,
      agents: [],
    });
    const running = await submit("[[tool=hold {}]]", { user_id: "ada", session_id: "one" });
    await arrived.promise;
    const first = await submit("first", { user_id: "ada", session_id: "two" });
    const second = await submit("second", { user_id: "bob", session_id: "three" });
    const gone = await submit("third", { session_id: "four" });
    await runs.cancel(gone);
    await runs.create({ message: "in foreground", stream: false });

    const stats = await get("stats");
    expect(stats).toMatchObject({
      counts: { queued: 2, running: 1, paused: 0, completed: 0, failed: 0, cancelled: 1 },
      agents: [{ agent_id: "copilot", queued: 2, running: 1 }],
    });
    expect(stats.oldest_queued_age_seconds).toBeGreaterThanOrEqual(0);

    expect(await idsOf("")).toEqual([running, first, second]);
    expect(await idsOf("?status=queued&limit=1&page=2")).toEqual([second]);
    expect(await idsOf("?status=PENDING&user_id=ada")).toEqual([first]);
    expect(await idsOf("?session_id=three&agent_id=copilot")).toEqual([second]);
    expect(await idsOf("?agent_id=other")).toEqual([]);
    expect(await idsOf("?status=cancelled,failed")).toEqual([gone]);
    expect((await get("jobs?limit=1")).meta).toMatchObject({ page: 1, limit: 1, total_count: 3 });

    const [node] = await get("nodes");
    expect(node).toMatchObject({ alive: true, runs: 1, lease_seconds_left: expect.any(Number) });
    expect(await get(`jobs/${running}`)).toEqual({
      id: running,
      state: "running",
      status: "running",
      agent_id: "copilot",
      session_id: "one",
      user_id: "ada",
      input: "[[tool=hold {}]]",
      attempt: 1,
      crashes: 0,
      node_id: node.node_id,
      cancel_requested: false,
      error_type: null,
      created_at: expect.any(Number),
      started_at: expect.any(Number),
      ended_at: null,
    });
    held.resolve("done");
    for (const runId of [running, first, second]) await runs.ended(runId);
    expect((await get("stats")).counts).toMatchObject({ queued: 0, running: 0, completed: 3, cancelled: 1 });
    expect(await idsOf("?status=completed")).toEqual([second, first, running]);
  });

  test("a run that failed is done again as a new one: what its tools had answered stays", async () => {
    let calls = 0;
    let isBroken = true;
    const once = tool({
      name: "once",
      description: "Counts how often it was called.",
      inputSchema: z.object({}),
      execute: () => `called ${++calls} times`,
    });
    const model = new EchoModel({
      respond({ messages }) {
        const last = messages.at(-1);
        if (last?.role !== "tool") {
          return [{ type: "tool-call", id: "1", callId: "1", name: "once", arguments: "{}" }];
        }
        if (isBroken) throw new ModelError("The provider is away.");
        return `It was ${String(last.content)}.`;
      },
    });
    const other = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { model, tools: [once] },
    });
    const its = runsOf(other);
    const accepted = await (await its.create({ message: "go", background: true })).json();
    const failed: string = accepted.run_id;
    expect(await its.ended(failed)).toMatchObject({ status: "error" });
    const job = async () => (await fetch(`${other.url}/queue/jobs/${failed}`)).json();
    const before = await job();
    expect(before).toMatchObject({ state: "failed", error_type: "model_error" });
    isBroken = false;
    const answer = await fetch(`${other.url}/queue/jobs/${failed}/requeue`, { method: "POST" });
    expect(answer.status).toBe(202);
    const made = await answer.json();
    expect(made).toMatchObject({ status: "pending", session_id: accepted.session_id });
    expect(await its.ended(made.run_id)).toMatchObject({
      status: "completed",
      content: "It was called 1 times.",
      forked_from_run_id: failed,
    });
    expect(await job()).toEqual(before);
    await other.close();
  });

  test("only what failed is done again, and nothing else is asked for", async () => {
    const done = await submit("fine");
    await runs.ended(done);
    const foreground = await (await runs.create({ message: "hi", stream: false })).json();
    const requeue = async (id: string) =>
      (await fetch(`${server.url}/queue/jobs/${id}/requeue`, { method: "POST" })).status;
    expect(await requeue(done)).toBe(409);
    expect(await requeue(foreground.run_id)).toBe(404);
    expect(await requeue("none")).toBe(404);
    const status = async (path: string) => (await fetch(`${server.url}/queue/${path}`)).status;
    expect(await status(`jobs/${foreground.run_id}`)).toBe(404);
    expect(await status("jobs?status=lost")).toBe(422);
    expect(await status("jobs?status=queued,failed")).toBe(422);
    expect(await status("jobs?limit=0")).toBe(422);
  });
});
