import { Agent, AgentOS, EchoModel, NotFoundError, RunNotCompletedError, SqliteDb } from "agentos-ts";
import { describe, expect, onTestFinished, test } from "vitest";
import { engines } from "../support/engines.ts";
import { ask, createAgent } from "./create-agent.ts";

describe.each(engines)("an agent with a database on $name, and no AgentOS", (engine) => {
  async function createStored(options: { addHistoryToContext?: boolean } = {}) {
    const db = engine.connect(await engine.createLocation());
    onTestFinished(() => db.close());
    return createAgent({ db, ...options });
  }

  test("runs, and its runs are stored like those over HTTP", async () => {
    const { agent } = await createStored();
    const run = await agent.run("hello", {
      userId: "ada",
      sessionId: "thread-1",
      metadata: { source: "cron" },
    });
    expect(run).toMatchObject({
      agentId: "copilot",
      sessionId: "thread-1",
      userId: "ada",
      status: "completed",
      content: "You said: hello (messages seen: 1)",
      contentType: "str",
      model: "gpt-5.5",
      modelProvider: "OpenAI",
      metadata: { source: "cron" },
      input: { input_content: "hello" },
    });
    expect(run.createdAt).toBeInstanceOf(Date);
    expect(run.metrics.totalTokens).toBe(run.metrics.inputTokens + run.metrics.outputTokens);
    expect(await ask(agent, `/agents/copilot/runs/${run.runId}`)).toMatchObject({
      run_id: run.runId,
      session_id: "thread-1",
      user_id: "ada",
      status: "completed",
      content: run.content,
    });
  });

  test("remembers the session from one call to the next", async () => {
    const { agent, mock } = await createStored({ addHistoryToContext: true });
    await agent.run("my name is Ada", { sessionId: "one" });
    await agent.run("who am I?", { sessionId: "one" });
    const { input } = mock.requests.at(-1)!.body as { input: { content: string }[] };
    expect(input.map(({ content }) => content)).toEqual([
      "my name is Ada",
      expect.stringContaining("You said"),
      "who am I?",
    ]);
  });

  test("refuses a session that belongs to another user, and stores nothing", async () => {
    const { agent } = await createStored();
    await agent.run("mine", { userId: "ada", sessionId: "hers" });
    await expect(agent.run("mine too", { userId: "bob", sessionId: "hers" })).rejects.toThrow(NotFoundError);
    expect(await ask(agent, "/agents/copilot/runs?session_id=hers")).toHaveLength(1);
  });

  test("gives a run that failed as an error, which holds what is stored of it", async () => {
    const { agent } = await createStored();
    const error = await agent.run("[[error=400]]").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RunNotCompletedError);
    const { code, run, message } = error as RunNotCompletedError;
    expect(code).toBe("model_error");
    expect(message).toContain("mock error 400");
    expect(await ask(agent, `/agents/copilot/runs/${run.run_id}`)).toMatchObject({
      status: "error",
      content: message,
    });
  });
});

test("an agent without any database runs, and remembers while the process lives", async () => {
  const model = new EchoModel({ respond: ({ messages }) => `I see ${messages.length}` });
  const agent = new Agent({ id: "copilot", model, addHistoryToContext: true });
  const { sessionId } = await agent.run("my name is Ada");
  const { content } = await agent.run("who am I?", { sessionId });
  expect(content).toBe("I see 3");
});

test("runs without a session have one each", async () => {
  const { agent } = await createAgent();
  const [one, two] = await Promise.all([agent.run("a"), agent.run("b")]);
  expect(one.sessionId).not.toBe(two.sessionId);
  expect(one.runId).not.toBe(two.runId);
});

test("an agent that an AgentOS serves stores its runs there, without a database of its own", async () => {
  const agent = new Agent({ id: "copilot", model: new EchoModel() });
  const os = new AgentOS({ agents: [agent], db: new SqliteDb({ path: ":memory:" }) });
  onTestFinished(() => os.close());
  const { runId } = await agent.run("hello");
  const answer = await os.getApp().request(`/agents/copilot/runs/${runId}`);
  expect(await answer.json()).toMatchObject({ run_id: runId, status: "completed" });
});

test("agents of one AgentOS that share a session see their own runs alone", async () => {
  const seen: number[] = [];
  const model = new EchoModel({
    respond: ({ messages }) => {
      seen.push(messages.length);
      return "ok";
    },
  });
  const one = new Agent({ id: "one", model, addHistoryToContext: true });
  const two = new Agent({ id: "two", model, addHistoryToContext: true });
  const os = new AgentOS({ agents: [one, two] });
  onTestFinished(() => os.close());
  await one.run("a", { sessionId: "s" });
  await two.run("b", { sessionId: "s" });
  await one.run("c", { sessionId: "s" });
  expect(seen).toEqual([1, 1, 3]);
});

test("files of a run go to the model", async () => {
  const { agent, mock } = await createAgent();
  await agent.run("what is this?", {
    files: [{ kind: "image", filename: "dot.png", mime_type: "image/png", bytes: new Uint8Array([1, 2, 3]) }],
  });
  expect(JSON.stringify(mock.requests[0]?.body.input)).toContain("data:image/png;base64,AQID");
});

test("the agent's metadata is kept with every run, and the run's own is laid over it", async () => {
  const { agent } = await createAgent({ metadata: { team: "support", tier: "free" } });
  const { metadata } = await agent.run("hello", { metadata: { tier: "paid" } });
  expect(metadata).toEqual({ team: "support", tier: "paid" });
});
