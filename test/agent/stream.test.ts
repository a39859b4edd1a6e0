import { expect, test } from "vitest";
import { ask, collect, createAgent } from "./create-agent.ts";

test("a stream gives every event of the run in order, without gaps, up to its end", async () => {
  const { agent } = await createAgent();
  const events = await collect(agent.stream("[[say=one two three]]", { sessionId: "s" }));
  expect(events.map(({ event_index }) => event_index)).toEqual(events.map((_, index) => index));
  expect(events.map(({ event }) => event)).toEqual([
    "RunStarted",
    "ModelRequestStarted",
    "RunContent",
    "RunContent",
    "RunContent",
    "ModelRequestCompleted",
    "RunContentCompleted",
    "RunCompleted",
  ]);
  expect(events.at(-1)).toMatchObject({ content: "one two three", session_id: "s" });
});

test("a run that fails ends its stream with RunError, not with an exception", async () => {
  const { agent } = await createAgent();
  const events = await collect(agent.stream("[[error=400]]"));
  expect(events.at(-1)).toMatchObject({ event: "RunError", error_type: "model_error" });
});

test("leaving a stream early does not end the run", async () => {
  const { agent } = await createAgent();
  let runId = "";
  for await (const event of agent.stream("[[tokens=20]] [[delay=2]]")) {
    runId = event.run_id;
    if (event.event === "RunContent") break;
  }
  await expect
    .poll(() => ask(agent, `/agents/copilot/runs/${runId}`), { timeout: 10_000 })
    .toMatchObject({ status: "completed" });
});

test("two streams of one agent do not mix", async () => {
  const { agent } = await createAgent();
  const [one, two] = await Promise.all([
    collect(agent.stream("[[say=a a a]] [[delay=1]]")),
    collect(agent.stream("[[say=b b b]] [[delay=1]]")),
  ]);
  expect(one.at(-1)).toMatchObject({ content: "a a a" });
  expect(two.at(-1)).toMatchObject({ content: "b b b" });
  expect(new Set(one.map(({ run_id }) => run_id)).size).toBe(1);
});
