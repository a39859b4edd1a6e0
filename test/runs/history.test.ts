import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { add } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [add], numHistoryRuns: 2, instructions: "Be kind.", retries: 0 },
    });
  });
  afterAll(() => server.close());

  const say = async (session_id: string, message: string) =>
    (await server.run({ message, session_id, stream: false })).json();

  /** What the model was asked last, item by item. */
  function asked(): Record<string, unknown>[] {
    return server.model.requests.at(-1)?.body["input"] as Record<string, unknown>[];
  }
  const contents = () => asked().map(({ content }) => content);

  test("the model is shown what was said before in the session, and only there", async () => {
    await say("one", "my name is Ada");
    await say("two", "and in here?");
    expect(await say("one", "who am I?")).toMatchObject({ status: "completed", session_id: "one" });
    expect(contents()).toEqual([
      "Be kind.",
      "my name is Ada",
      expect.stringContaining("You said: my name is Ada"),
      "who am I?",
    ]);
  });

  test("the model is shown the last runs, as many as the agent says", async () => {
    for (const message of ["first", "second", "third"]) await say("three", message);
    await say("three", "fourth");
    expect(contents().filter((content) => !String(content).startsWith("You said"))).toEqual([
      "Be kind.",
      "second",
      "third",
      "fourth",
    ]);
  });

  test("runs that failed are left out", async () => {
    await say("failed", "good");
    expect(await say("failed", "bad [[error=400]]")).toMatchObject({ status: "error" });
    await say("failed", "next");
    expect(contents()).toEqual(["Be kind.", "good", expect.stringContaining("good"), "next"]);
  });

  test("tool calls of earlier runs are shown with their outputs", async () => {
    await say("tools", 'sum [[tool=add {"a":1,"b":2}]]');
    await say("tools", "and?");
    expect(asked()).toMatchObject([
      { role: "developer" },
      { role: "user" },
      { type: "function_call", name: "add", arguments: '{"a":1,"b":2}' },
      { type: "function_call_output", output: "3" },
      { role: "assistant", content: "Tool said: 3" },
      { role: "user", content: "and?" },
    ]);
    const [, , call, output] = asked();
    expect(call?.["call_id"]).toBe(output?.["call_id"]);
  });

  test("files of earlier runs are shown again", async () => {
    const form = new FormData();
    for (const [name, value] of Object.entries({ message: "look", session_id: "files", stream: "false" }))
      form.set(name, value);
    form.append("files", new Blob([new Uint8Array([137, 80, 78, 71])], { type: "image/png" }), "a.png");
    form.append("files", new Blob(["%PDF"], { type: "application/pdf" }), "b.pdf");
    await fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: form });
    const [, first] = asked();
    await say("files", "what was in them?");
    expect(asked()[1]).toEqual(first);
    expect(first?.["content"]).toMatchObject([
      { type: "input_text", text: "look" },
      { type: "input_image", image_url: "data:image/png;base64,iVBORw==" },
      { type: "input_file", filename: "b.pdf" },
    ]);
  });

  test("a run holds its own messages, not those that it was shown", async () => {
    await say("own", "first");
    const { messages } = await say("own", "second");
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(["system", "user", "assistant"]);
    expect(messages.every((message: { from_history: boolean }) => !message.from_history)).toBe(true);
  });

  test("a run that is still going on is not shown to the next", async () => {
    const slow = await server.run({ message: "slow [[ttft=60000]]", session_id: "slow" });
    const reader = slow.body!.getReader();
    await reader.read();
    await say("slow", "quick");
    expect(contents()).toEqual(["Be kind.", "quick"]);
    await reader.cancel();
  });
});
