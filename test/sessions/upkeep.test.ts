import { afterEach, describe, expect, test, vi } from "vitest";
import { type Engine, engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;
afterEach(() => server.close());

async function start(engine: Engine, agent: object): Promise<void> {
  server = await startServer({ db: engine.connect(await engine.createLocation()), agent });
}

async function run(message: string, session_id = "one"): Promise<{ status: string; content: unknown }> {
  return (await server.run({ message, session_id, user_id: "ada", stream: false })).json();
}

async function session(id = "one"): Promise<{ session_name: string; session_summary?: { summary: string } }> {
  return (await fetch(`${server.url}/sessions/${id}`)).json();
}

/** What the model was asked last, item by item. */
function asked(containing: string): { role?: string; content?: string }[] {
  const request = server.model.requests.findLast(({ body }) => JSON.stringify(body).includes(containing));
  expect(request).toBeDefined();
  return (request!.body as { input: { role?: string; content?: string }[] }).input;
}

const summing = (summary: string) => `tell [[say={"summary":"${summary}","topics":["trip"]}]]`;

describe.each(engines)("on $name", (engine) => {
  test("a session gets a title from its first exchange", async () => {
    await start(engine, { autoNameSessions: true });
    await run('Where should we go? [[say="Trip to Oslo."]]');
    await vi.waitUntil(async () => (await session()).session_name === "Trip to Oslo");
  });

  test("a name that a person gave is never taken away by a title", async () => {
    await start(engine, { autoNameSessions: true });
    await run("Where should we go? [[ttft=150]] [[say=Trip to Oslo]]");
    const renamed = await fetch(`${server.url}/sessions/one/rename`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ session_name: "Mine" }),
    });
    expect(renamed.status).toBe(200);
    await run("and then? [[say=Trip to Bergen]]");
    await server.os.close();
    expect(server.model.requests).toHaveLength(3);
  });

  test("a model that gives no title leaves the run and the name as they are", async () => {
    await start(engine, { autoNameSessions: true, retries: 0 });
    expect(await run("fails once [[errors=1:500]]")).toMatchObject({ status: "error" });
    expect(await session()).toMatchObject({ session_name: expect.stringContaining("fails once") });
  });

  test("a summary is kept after each run, and stands in the prompt of the next", async () => {
    await start(engine, { enableSessionSummaries: true });
    await run(summing("They plan a trip to Oslo."));
    await vi.waitUntil(
      async () => (await session()).session_summary?.summary === "They plan a trip to Oslo.",
    );
    await run("what now?", "one");
    const [system, ...rest] = asked("what now?");
    expect(system?.content).toContain("They plan a trip to Oslo.");
    expect(rest.at(-1)?.content).toBe("what now?");
  });

  test("history over its budget is left out run by run, and the summary tells it", async () => {
    await start(engine, { enableSessionSummaries: true, numHistoryRuns: 10, historyTokenBudget: 60 });
    await run(`first ${"x".repeat(400)} ${summing("The first thing.")}`);
    await vi.waitUntil(async () => (await session()).session_summary?.summary === "The first thing.");
    await run("second [[say=short]]");
    await run("third");
    const contents = asked("third").map(({ content }) => content);
    expect(contents[0]).toContain("The first thing.");
    expect(contents.slice(1)).toEqual(["second [[say=short]]", "short", "third"]);
    const stored = await (await fetch(`${server.url}/sessions/one/runs`)).json();
    expect(stored).toHaveLength(3);
  });

  test("compacting folds all but the last exchange into the summary, and leaves the transcript", async () => {
    await start(engine, { enableSessionSummaries: true, numHistoryRuns: 10 });
    const compact = async () =>
      (
        await fetch(`${server.url}/agents/copilot/sessions/one/compact?user_id=ada`, { method: "POST" })
      ).json();
    await run(`first ${"x".repeat(400)} ${summing("Short.")}`);
    expect(await compact()).toMatchObject({ status: "nothing_to_fold", compacted: false });
    await run("second [[say=two]]");
    expect(await compact()).toMatchObject({
      status: "compacted",
      compacted: true,
      record: { messages_compacted: 2, tokens_before: expect.any(Number), tokens_after: 2 },
    });
    expect(await compact()).toMatchObject({ status: "already_compacted" });
    await run("third");
    expect(asked("third").map(({ content }) => content)).toEqual([
      expect.stringContaining("Short."),
      "second [[say=two]]",
      "two",
      "third",
    ]);
    expect(await (await fetch(`${server.url}/sessions/one/runs`)).json()).toHaveLength(3);
  });

  test("an agent that keeps no summaries declines to compact, and a session of somebody else is not found", async () => {
    await start(engine, {});
    await run("hello");
    const compact = (query: string) =>
      fetch(`${server.url}/agents/copilot/sessions/one/compact${query}`, { method: "POST" });
    expect(await (await compact("")).json()).toMatchObject({ status: "not_enabled", compacted: false });
    expect((await compact("?user_id=eve")).status).toBe(404);
  });
});
