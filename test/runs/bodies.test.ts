import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";

const fields = {
  message: "hello",
  stream: false,
  session_id: "thread-42",
  user_id: "sarah@acme.com",
  session_state: { plan: "pro", n: 1 },
  metadata: { source: "widget" },
  dependencies: { region: "eu" },
};

/** The same fields as texts, objects as JSON. */
const texts = Object.entries(fields).map(([name, value]): [string, string] => [
  name,
  typeof value === "object" ? JSON.stringify(value) : String(value),
]);

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: {
        instructions: ({ dependencies, sessionState }) => JSON.stringify({ dependencies, sessionState }),
      },
    });
  });
  afterAll(() => server.close());

  const post = (body: RequestInit["body"], headers: Record<string, string> = {}) =>
    fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: body ?? null, headers });

  const bodies: [string, () => Promise<Response>][] = [
    ["JSON", () => server.run(fields)],
    [
      "JSON in another case",
      () => post(JSON.stringify(fields), { "content-type": "Application/JSON; Charset=UTF-8" }),
    ],
    ["urlencoded", () => post(new URLSearchParams(texts))],
    [
      "multipart",
      () => {
        const form = new FormData();
        for (const [name, text] of texts) form.set(name, text);
        return post(form);
      },
    ],
  ];

  test.each(bodies)("a run is made of a body in %s", async (_, send) => {
    const answer = await send();
    expect(answer.status).toBe(200);
    const run = await answer.json();
    expect(run).toMatchObject({
      status: "completed",
      session_id: "thread-42",
      user_id: "sarah@acme.com",
      agent_id: "copilot",
      session_state: { plan: "pro", n: 1 },
      metadata: { source: "widget" },
      input: { input_content: "hello" },
      content_type: "str",
      model: "gpt-5.5",
      model_provider: expect.stringContaining("OpenAI"),
      tools: [],
    });
    expect(run.content).toContain("You said: hello");
    expect(run.run_id).toMatch(/^run_/);
    expect(run.messages.map(({ role }: { role: string }) => role)).toEqual(["system", "user", "assistant"]);
    expect(run.messages[0].content).toContain('"region":"eu"');
    expect(run.messages[0].content).toContain('"plan":"pro"');
  });

  test("a run is streamed unless it is asked not to be", async () => {
    for (const body of [
      { message: "hi" },
      { message: "hi", stream: true },
      { message: "hi", stream: null },
    ]) {
      const answer = await server.run(body);
      expect(answer.headers.get("content-type")).toContain("text/event-stream");
      await answer.text();
    }
  });

  test.each(["", null, undefined])("a session id of %j makes a new session", async (session_id) => {
    const ids = new Set<string>();
    for (const message of ["one", "two"]) {
      const run = await (await server.run({ message, session_id, stream: false })).json();
      expect(run.content).toContain("(messages seen: 2)");
      ids.add(run.session_id);
    }
    expect(ids.size).toBe(2);
  });

  test("an empty user is none", async () => {
    const form = new URLSearchParams({
      message: "hi",
      stream: "false",
      user_id: "",
      session_state: "",
      metadata: "",
    });
    const answer = await post(form);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toHaveProperty("user_id", null);
  });

  test.each([
    ["NUL", "a\u0000b"],
    ["half of a pair", "a\ud83db"],
    ["emoji", "👩‍👩‍👧‍👦 🏳️‍🌈"],
    ["line breaks", "a\r\nb\rc\u2028d"],
    ["quotes", `'; DROP TABLE runs; -- "`],
    ["300,000 characters", "x".repeat(300_000)],
  ])("a message with %s is kept and read again as it was", async (_, message) => {
    const run = await (
      await server.run({
        message,
        stream: false,
        metadata: { [message.slice(0, 50)]: message },
        session_state: { message },
      })
    ).json();
    expect(run.status).toBe("completed");
    expect(run.input.input_content).toBe(message);
    const again = await (await fetch(`${server.url}/agents/copilot/runs/${run.run_id}`)).json();
    expect(again).toEqual({ ...run, updated_at: expect.any(Number), events: [] });
  });

  test("ids of any readable characters are kept", async () => {
    for (const id of ["a/b?c#d%20", "ünïcödé 名前", "👩‍👩‍👧", "x".repeat(255), "__proto__", "' OR 1=1 --"]) {
      const run = await (
        await server.run({ message: "hi", session_id: id, user_id: id, stream: false })
      ).json();
      expect(run).toMatchObject({ session_id: id, user_id: id });
      const query = new URLSearchParams({ session_id: id, user_id: id });
      const listed = await (await fetch(`${server.url}/agents/copilot/runs?${query}`)).json();
      expect(listed).toMatchObject([{ run_id: run.run_id, user_id: id }]);
    }
  });

  test("a schema's regular expression that would take for ever is not run on the server", async () => {
    const output_schema = { type: "object", properties: { a: { type: "string", pattern: "^(a+)+$" } } };
    const message = `[[say={"a":"${"a".repeat(40)}!"}]]`;
    const answer = await server.run({ message, output_schema, stream: false });
    expect(await answer.json()).toMatchObject({ status: "completed" });
  });

  test("a title of an output schema with odd characters makes no failure of the server", async () => {
    const output_schema = { title: "a\u0000b\ud800", type: "object", properties: { n: { type: "number" } } };
    const answer = await server.run({ message: '[[say={"n":1}]]', output_schema, stream: false });
    expect(answer.status).toBeLessThan(500);
  });
});
