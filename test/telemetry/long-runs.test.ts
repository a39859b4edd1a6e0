import { Agent, EchoModel, tool } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { send } from "../support/memories.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { flat, Traces } from "../support/traces.ts";

const wipe = tool({
  name: "wipe",
  description: "Wipes a path.",
  inputSchema: z.object({ path: z.string() }),
  requiresConfirmation: true,
  execute: ({ path }) => `wiped ${path}`,
});

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let traces: Traces;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [wipe] },
      os: { prices: { "gpt-5.5": { input: 2, output: 10 } } },
    });
    traces = new Traces(server.url);
  });
  afterAll(() => server.close());

  test("a run that waits for people has a span for each part, in one trace", async () => {
    const paused = (await (
      await server.run({ message: 'do [[tool=wipe {"path":"/tmp"}]]', stream: false, session_id: "paused" })
    ).json()) as { run_id: string; status: string; tools: { tool_call_id: string }[] };
    expect(paused.status).toBe("paused");
    const before = await traces.ofRun(paused.run_id);
    expect(before).toMatchObject({ status: "OK", tree: [{ metadata: { run_status: "paused" } }] });
    const tools = paused.tools.map((call) => ({ ...call, confirmed: true }));
    const path = `/agents/copilot/runs/${paused.run_id}/continue`;
    const ended = await send(server.url, "POST", path, { tools, stream: false });
    expect(await ended.json()).toMatchObject({ status: "completed" });
    const after = await vi.waitFor(
      async () => {
        const trace = await traces.get(before.trace_id);
        expect(trace.tree).toHaveLength(2);
        return trace;
      },
      { timeout: 10_000, interval: 50 },
    );
    expect(after.tree.map(({ metadata }) => metadata["run_status"])).toEqual(["paused", "completed"]);
    expect(flat(after.tree)).toContainEqual(
      expect.objectContaining({ type: "TOOL", name: "wipe", output: "wiped /tmp" }),
    );
    expect(after.output).toBe("Tool said: wiped /tmp");
    expect((await traces.list(`run_id=${paused.run_id}`)).data).toHaveLength(1);
    // What goes on does not start again: its model is known all the same.
    const asked = flat(after.tree).filter(({ type }) => type === "LLM");
    expect(asked).toHaveLength(2);
    for (const node of [...after.tree, ...asked]) {
      expect(node.metadata).toMatchObject({ model: "gpt-5.5", cost: expect.any(Number) });
    }
    expect(asked.map(({ name }) => name)).toEqual(["chat gpt-5.5", "chat gpt-5.5"]);
    const metrics = await (await fetch(`${server.url}/metrics/prometheus`)).text();
    expect(metrics).toMatch(
      /^agentos_tokens_total\{agent="copilot",model="gpt-5.5",provider="OpenAI",type="input"\}/m,
    );
    expect(metrics).not.toContain('model=""');
  });

  test("a run that is cancelled while it waits for people has a span that says so", async () => {
    const asked = await server.run({ message: '[[tool=wipe {"path":"/tmp"}]]', stream: false });
    const { run_id } = (await asked.json()) as { run_id: string };
    await traces.ofRun(run_id);
    await send(server.url, "POST", `/agents/copilot/runs/${run_id}/cancel`, {});
    await vi.waitFor(async () => {
      const { tree, status } = await traces.ofRun(run_id);
      const stood = tree.map(({ type, metadata }) => [type, metadata["run_status"]]);
      expect([status, ...stood]).toEqual(["OK", ["AGENT", "paused"], ["AGENT", "cancelled"]]);
    });
  });

  test("a background run shows how long it waited, and its caller's span is above it", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    // One that makes its session has nothing to wait for.
    await (await server.run({ message: "first", stream: false, session_id: "queued" })).text();
    const answer = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
      body: JSON.stringify({ message: "later", background: true, session_id: "queued" }),
    });
    expect(answer.status).toBe(202);
    const { run_id } = (await answer.json()) as { run_id: string };
    const trace = await traces.ofRun(run_id);
    expect(trace.trace_id).toBe(traceId);
    const [root] = trace.tree;
    expect(root!.spans!.map(({ type }) => type)).toEqual(["QUEUE", "LLM"]);
    expect(root!.spans![0]!.start_time).toBe(root!.start_time);
  });
});

test("an agent that nobody serves is traced into its own database", async () => {
  const [engine] = engines;
  const location = await engine!.createLocation();
  const db = engine!.connect(location);
  const agent = new Agent({ id: "alone", model: new EchoModel(), db });
  const run = await agent.run("hello");
  await db.close();
  const rows = await query<{ run_id: string }>(engine!, location, "SELECT run_id FROM traces");
  expect(rows).toEqual([{ run_id: run.runId }]);
});
