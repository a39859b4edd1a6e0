import {
  Agent,
  type AgentOptions,
  ConflictError,
  type Decision,
  InvalidRequestError,
  ModelError,
  NotFoundError,
  RunCancelledError,
  type RunEvent,
  RunNotCompletedError,
  RunPausedError,
  SqliteDb,
  tool,
} from "agentos-ts";
import { describe, expect, expectTypeOf, onTestFinished, test } from "vitest";
import * as z from "zod";
import { outline } from "../support/read-events.ts";
import { WrittenModel, type WrittenTurn } from "../support/written-model.ts";
import { collect, gate } from "./create-agent.ts";

const wipe = tool({
  name: "wipe",
  description: "Wipes a path.",
  inputSchema: z.object({ path: z.string() }),
  requiresConfirmation: true,
  execute: ({ path }) => `wiped ${path}`,
});

const calls = (...paths: string[]): WrittenTurn =>
  paths.map((path) => ({ name: "wipe", arguments: { path } }));

function createDb(): SqliteDb {
  const db = new SqliteDb({ path: ":memory:" });
  onTestFinished(() => db.close());
  return db;
}

function createAgent(model: WrittenModel, options: Partial<AgentOptions> = {}): Agent {
  return new Agent({ id: "keeper", model, db: createDb(), tools: [wipe], retryDelay: 0.001, ...options });
}

/** How a run waits for people. */
async function pausedBy(run: Promise<unknown>): Promise<RunPausedError> {
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RunPausedError);
  return error as RunPausedError;
}

const confirmed = (paused: RunPausedError, is = true): Decision[] =>
  paused.requirements.map(({ tool_execution }) => ({
    toolCallId: tool_execution.tool_call_id,
    confirmed: is,
  }));

describe("agent.continue()", () => {
  test("goes on with a run that run() says is paused, and gives its answer", async () => {
    const agent = createAgent(new WrittenModel(calls("a"), "All done."));
    const paused = await pausedBy(agent.run("Wipe a", { userId: "ada" }));
    expect(paused).toMatchObject({ code: "run_paused", run: { status: "paused", user_id: "ada" } });
    expect(paused.message).toContain("wipe");
    const run = await agent.continue(paused.run.run_id, { decisions: confirmed(paused) });
    expect(run).toMatchObject({ runId: paused.run.run_id, status: "completed", content: "All done." });
    expect(run.tools).toMatchObject([{ toolName: "wipe", result: "wiped a", failed: false }]);
  });

  test("of a run that pauses again throws again, until all is decided", async () => {
    const agent = createAgent(new WrittenModel(calls("a", "b"), calls("c"), "Done."));
    const first = await pausedBy(agent.run("Wipe"));
    expect(first.requirements).toHaveLength(2);
    const { run_id } = first.run;
    const second = await pausedBy(agent.continue(run_id, { decisions: confirmed(first) }));
    expect(second.run.run_id).toBe(run_id);
    expect(second.requirements).toMatchObject([{ tool_execution: { tool_args: { path: "c" } } }]);
    // What was decided before stays with the run.
    expect(second.run.requirements).toHaveLength(3);
    await expect(agent.continue(run_id, { decisions: confirmed(first) })).rejects.toThrow(
      InvalidRequestError,
    );
    const { content, tools } = await agent.continue(run_id, { decisions: confirmed(second, false) });
    expect(content).toBe("Done.");
    expect(tools.map(({ failed }) => failed)).toEqual([false, false, true]);
  });

  test("streams from RunContinued on", async () => {
    const agent = createAgent(new WrittenModel(calls("a"), "All done."));
    const first = await collect(agent.stream("Wipe a"));
    const last = first.at(-1) as Extract<RunEvent, { event: "RunPaused" }>;
    expect(last.event).toBe("RunPaused");
    const decisions = last.tools.map(({ tool_call_id }) => ({ toolCallId: tool_call_id, confirmed: true }));
    const rest = await collect(agent.continueStream(last.run_id, { decisions }));
    expect(outline(rest).slice(0, 3)).toEqual(["RunContinued", "ToolCallStarted", "ToolCallCompleted"]);
    expect(rest[0]?.event_index).toBe(last.event_index + 1);
    expect(rest.at(-1)?.event).toBe("RunCompleted");
  });

  test("gives content of the type of the schema, also of one that the run brought", async () => {
    const schema = z.object({ wiped: z.number() });
    const agent = createAgent(new WrittenModel(calls("a"), '{"wiped":1}'));
    const paused = await pausedBy(agent.run("Wipe a", { outputSchema: schema }));
    const run = await agent.continue(paused.run.run_id, {
      decisions: confirmed(paused),
      outputSchema: schema,
    });
    expectTypeOf(run.content).toEqualTypeOf<{ wiped: number }>();
    expect(run.content).toEqual({ wiped: 1 });
    const other = await pausedBy(agent.run("Wipe a", { outputSchema: schema }));
    const kept = await agent.continue(other.run.run_id, { decisions: confirmed(other) });
    expect(kept.content).toEqual({ wiped: 1 });
  });

  test("keeps the dependencies that JSON can hold, and takes the others again", async () => {
    let seen: unknown;
    const look = tool({
      name: "look",
      description: "Looks.",
      inputSchema: z.object({}),
      requiresConfirmation: true,
      execute: (_input, { dependencies }) => {
        seen = dependencies;
        return "";
      },
    });
    const agent = createAgent(new WrittenModel([{ name: "look" }], "."), { tools: [look] });
    const dependencies = { tenant: "acme", client: () => "live" };
    const first = await pausedBy(agent.run("x", { dependencies }));
    await agent.continue(first.run.run_id, { decisions: confirmed(first) });
    expect(seen).toEqual({ tenant: "acme" });
    const second = await pausedBy(agent.run("x", { dependencies }));
    await agent.continue(second.run.run_id, { decisions: confirmed(second), dependencies });
    expect(seen).toBe(dependencies);
  });

  test("of a run whose tool is gone, or of another agent, changes nothing", async () => {
    const db = createDb();
    const model = new WrittenModel(calls("a"), "Done.");
    const paused = await pausedBy(createAgent(model, { db }).run("Wipe a"));
    const { run_id } = paused.run;
    const later = createAgent(model, { db, tools: [] });
    await expect(later.continue(run_id, { decisions: confirmed(paused) })).rejects.toThrow(ConflictError);
    const other = createAgent(model, { db, id: "other" });
    await expect(other.continue(run_id, { decisions: confirmed(paused) })).rejects.toThrow(NotFoundError);
    // A call that is not allowed needs no tool.
    const run = await later.continue(run_id, { decisions: confirmed(paused, false) });
    expect(run.status).toBe("completed");
  });

  test("is cancelled by its signal", async () => {
    const { open, passed } = gate();
    const slow = tool({
      name: "wipe",
      description: "Takes for ever.",
      inputSchema: z.object({ path: z.string() }),
      requiresConfirmation: true,
      execute: () => {
        open();
        return new Promise(() => undefined);
      },
    });
    const agent = createAgent(new WrittenModel(calls("a"), "Done."), { tools: [slow] });
    const paused = await pausedBy(agent.run("Wipe a"));
    const abort = new AbortController();
    const run = agent.continue(paused.run.run_id, { decisions: confirmed(paused), signal: abort.signal });
    await passed;
    abort.abort();
    const error = await run.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RunNotCompletedError);
    expect(error).toMatchObject({ code: new RunCancelledError("").code });
  });

  test("of a run that failed behind a tool goes on with its output, and does not run it again", async () => {
    let runs = 0;
    const count = tool({
      name: "count",
      description: "Counts.",
      inputSchema: z.object({}),
      execute: () => String(++runs),
    });
    const model = new WrittenModel([{ name: "count" }], "Done.");
    const generate = model.generate.bind(model);
    model.generate = async function* (request) {
      if (model.saw.length === 1) {
        model.saw.push([]);
        throw new ModelError("The provider is away.");
      }
      yield* generate(request);
    };
    const agent = createAgent(model, { tools: [count] });
    const failed = (await agent.run("Count").catch((reason: unknown) => reason)) as RunNotCompletedError;
    expect(failed.run).toMatchObject({ status: "error", tools: [{ result: "1" }] });
    const { content, messages } = await agent.continue(failed.run.run_id);
    expect(content).toBe("Done.");
    expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "assistant"]);
    expect(runs).toBe(1);
  });

  test.each<[string, object]>([
    ["colour", { colour: "red" }],
    ["decisions", { decisions: "yes" }],
    ["decisions", { decisions: [{ confirmed: true }] }],
    ["confirmed", { decisions: [{ toolCallId: "x", confirmed: "yes" }] }],
    ["approved", { decisions: [{ toolCallId: "x", approved: true }] }],
    ["input", { input: " " }],
    ["continueFrom", { continueFrom: "start" }],
    ["replaceOriginal", { replaceOriginal: true }],
    ["input", { input: "x", regenerate: true }],
    ["signal", { signal: new AbortController() }],
  ])("refuses %s of %o", async (option, options) => {
    const agent = createAgent(new WrittenModel(calls("a"), "Done."));
    const error = await agent.continue("run_x", options).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidRequestError);
    expect((error as Error).message).toContain(option);
  });
});
