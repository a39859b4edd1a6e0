import { Agent, EchoModel, RunCancelledError, RunNotCompletedError, RunTimeoutError, tool } from "agentos-ts";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { ask, createAgent, gate } from "./create-agent.ts";

/** A tool that never returns and does not listen, and what it is told when its run ends. */
function stuckTool() {
  const started = gate();
  let signal: AbortSignal | undefined;
  const stuck = tool({
    name: "stuck",
    description: "Never returns.",
    inputSchema: z.object({}),
    execute: (_input, context) => {
      signal = context.signal;
      started.open();
      return new Promise(() => undefined);
    },
  });
  return { stuck, started: started.passed, reason: () => signal?.reason as unknown };
}

describe("aborting a run's signal", () => {
  test("ends a stream with RunCancelled, with what was said until then", async () => {
    const { agent } = await createAgent();
    const controller = new AbortController();
    const events = [];
    for await (const event of agent.stream("[[tokens=100000]] [[delay=1]]", { signal: controller.signal })) {
      events.push(event);
      if (event.event === "RunContent") controller.abort();
    }
    const last = events.at(-1);
    expect(last?.event).toBe("RunCancelled");
    const said = events.map((event) => (event.event === "RunContent" ? event.content : "")).join("");
    expect(last).toMatchObject({ content: said });
    expect(await ask(agent, `/agents/copilot/runs/${last?.run_id}`)).toMatchObject({
      status: "cancelled",
      content: said,
    });
  });

  test("makes run() reject with the cancelled run, though a tool never returns", async () => {
    const { stuck, started, reason } = stuckTool();
    const { agent } = await createAgent({ tools: [stuck] });
    const controller = new AbortController();
    const run = agent.run("[[tool=stuck {}]]", { signal: controller.signal });
    await started;
    controller.abort();
    const error = await run.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RunNotCompletedError);
    expect(error).toMatchObject({ code: "run_cancelled", run: { status: "cancelled" } });
    expect(reason()).toBeInstanceOf(RunCancelledError);
  });

  test("before the run ends it as well, without asking the model", async () => {
    const { agent, mock } = await createAgent();
    await expect(agent.run("hello", { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "run_cancelled",
    });
    expect(mock.requests).toHaveLength(0);
  });

  test.each(["before the run", "while the run waits"])(
    "%s ends its wait for an earlier one of its session",
    async (when) => {
      const { stuck, started } = stuckTool();
      const { agent, mock } = await createAgent({ tools: [stuck] });
      const [first, second] = [new AbortController(), new AbortController()];
      const earlier = agent.run("[[tool=stuck {}]]", { sessionId: "one", signal: first.signal });
      await started;
      const asked = mock.requests.length;
      if (when === "before the run") second.abort();
      const queued = { sessionId: "one", onBusy: "enqueue", signal: second.signal } as const;
      const waiting = agent.run("hello", queued);
      const ended = expect(waiting).rejects.toMatchObject({ code: "run_cancelled", run: { content: "" } });
      if (when === "while the run waits") {
        await expect
          .poll(() => ask(agent, "/sessions/one/runs"))
          .toMatchObject([{ status: "running" }, { status: "pending" }]);
        second.abort();
      }
      await ended;
      expect(mock.requests).toHaveLength(asked);
      first.abort();
      await expect(earlier).rejects.toMatchObject({ code: "run_cancelled" });
    },
  );

  test("ends the wait for the next try", async () => {
    const { agent, mock } = await createAgent({ retryDelay: 60 });
    const controller = new AbortController();
    const run = agent.run("[[error=503]]", { signal: controller.signal });
    const ended = expect(run).rejects.toMatchObject({ code: "run_cancelled" });
    await expect.poll(() => mock.requests.length).toBe(1);
    controller.abort();
    await ended;
  });

  test("after the run changes nothing", async () => {
    const { agent } = await createAgent();
    const controller = new AbortController();
    const { runId } = await agent.run("hello", { signal: controller.signal });
    controller.abort();
    expect(await ask(agent, `/agents/copilot/runs/${runId}`)).toMatchObject({ status: "completed" });
  });
});

describe("the time limit", () => {
  test("ends a run whose tool never returns, and tells the tool", async () => {
    const { stuck, reason } = stuckTool();
    const { agent } = await createAgent({ tools: [stuck], timeLimit: 0.2 });
    const error = await agent.run("[[tool=stuck {}]]").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "run_timeout", run: { status: "error" } });
    expect((error as Error).message).toContain("0.2 s");
    expect(reason()).toBeInstanceOf(RunTimeoutError);
  });

  test("ends a run whose model never answers", async () => {
    const model = new EchoModel();
    const silent: EchoModel = Object.assign(Object.create(model) as EchoModel, {
      generate: () => ({
        [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }),
      }),
    });
    const agent = new Agent({ id: "copilot", model: silent, timeLimit: 0.1 });
    await expect(agent.run("hello")).rejects.toMatchObject({ code: "run_timeout" });
  });
});
