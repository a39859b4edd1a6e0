import { setTimeout as wait } from "node:timers/promises";
import { Agent, type AgentOptions, type Model, RunPausedError, SqliteDb, tool } from "agentos-ts";
import { expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import { WrittenModel } from "../support/written-model.ts";
import { collect } from "./create-agent.ts";

function createAgent(options: Partial<AgentOptions> & { model: Model }): Agent {
  const db = new SqliteDb({ path: ":memory:" });
  onTestFinished(() => db.close());
  return new Agent({ id: "keeper", db, retryDelay: 0.001, ...options });
}

test("a tool over its limit is left behind and told to stop, and the model is told that it took too long", async () => {
  let signal: AbortSignal | undefined;
  const stuck = tool({
    name: "stuck",
    description: "Never returns, and does not listen.",
    inputSchema: z.object({}),
    timeLimit: 0.02,
    execute: (_input, context) => {
      signal = context.signal;
      return new Promise(() => undefined);
    },
  });
  const quick = tool({
    name: "quick",
    description: "Is quick.",
    inputSchema: z.object({}),
    execute: () => "here",
  });
  const model = new WrittenModel([{ name: "stuck" }, { name: "quick" }], "Done.");
  const { tools, content } = await createAgent({ model, tools: [stuck, quick] }).run("x");
  expect(content).toBe("Done.");
  expect(tools).toMatchObject([
    { failed: true, result: expect.stringContaining("limit of 0.02 s") },
    { failed: false, result: "here" },
  ]);
  expect(signal?.aborted).toBe(true);
});

/** A model that says some words, and then nothing more. */
function silent(words: number, heard: { calls: number; signal?: AbortSignal }): Model {
  return {
    id: "silent",
    provider: "Test",
    name: "Silent",
    async *generate({ signal }) {
      heard.calls++;
      heard.signal = signal;
      for (let i = 0; i < words; i++) yield { type: "text", delta: "word " };
      await new Promise(() => undefined);
    },
  };
}

test("a model call over its limit fails with the reason, after retries where nothing was heard", async () => {
  const heard: { calls: number; signal?: AbortSignal } = { calls: 0 };
  const agent = createAgent({ model: silent(0, heard), modelTimeLimit: 0.02, retries: 2 });
  const events = await collect(agent.stream("x"));
  expect(events.at(-1)).toMatchObject({ event: "RunError", error_type: "model_error" });
  expect(events.at(-1)).toMatchObject({ content: expect.stringContaining("limit of 0.02 s") });
  expect(heard.calls).toBe(3);
  expect(heard.signal?.aborted).toBe(true);
});

test("a model call that stops in the middle of its answer is not tried again", async () => {
  const heard = { calls: 0 };
  const agent = createAgent({ model: silent(2, heard), modelTimeLimit: 0.02 });
  const events = await collect(agent.stream("x"));
  expect(events.at(-1)).toMatchObject({ event: "RunError", content: expect.stringContaining("limit") });
  expect(heard.calls).toBe(1);
});

test("a run's limit leaves out the time that it waits for people, and counts what was before", async () => {
  const nap = tool({
    name: "nap",
    description: "Sleeps.",
    inputSchema: z.object({ ms: z.number() }),
    execute: ({ ms }) => wait(ms, "slept"),
  });
  const ask = tool({
    name: "ask",
    description: "Asks.",
    inputSchema: z.object({}),
    requiresConfirmation: true,
    execute: () => "asked",
  });
  const run = async (ms: number) => {
    const model = new WrittenModel(
      [{ name: "nap", arguments: { ms } }, { name: "ask" }],
      [{ name: "nap", arguments: { ms } }],
      "Done.",
    );
    const agent = createAgent({ model, tools: [nap, ask], timeLimit: 1 });
    const paused = (await agent.run("x").catch((error: unknown) => error)) as RunPausedError;
    expect(paused).toBeInstanceOf(RunPausedError);
    // Longer than the limit.
    await wait(1100);
    const [toolCallId] = paused.requirements.map(({ tool_execution }) => tool_execution.tool_call_id);
    return agent.continue(paused.run.run_id, { decisions: [{ toolCallId: toolCallId!, confirmed: true }] });
  };
  const done = await run(10);
  expect(done.metrics.duration).toBeLessThan(1);
  await expect(run(600)).rejects.toMatchObject({ code: "run_timeout" });
});
