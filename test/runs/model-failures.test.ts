import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { outline, readEvents } from "../support/read-events.ts";
import { add, boom } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [add, boom], addHistoryToContext: false, retries: 2, timeLimit: 2 },
    });
  });
  afterAll(() => server.close());

  const run = async (message: string, more: object = {}) =>
    (await server.run({ message, stream: false, ...more })).json();
  const requests = (message: string) =>
    server.model.requests.filter(({ body }) => JSON.stringify(body).includes(JSON.stringify(message))).length;

  test.each([429, 500, 503])(
    "a model that answers %i twice and then well gives an answer",
    async (status) => {
      for (const stream of [false, true]) {
        const message = `stream ${stream} [[errors=2:${status}]]`;
        const answer = await server.run({ message, stream });
        expect(await answer.text()).toContain("You said");
        expect(requests(message)).toBe(3);
      }
    },
  );

  test("a model that keeps failing ends the run as error, and the run says what happened", async () => {
    const answer = await server.run({ message: "[[error=503]]", stream: false });
    expect(answer.status).toBe(200);
    const failed = await answer.json();
    expect(failed).toMatchObject({
      status: "error",
      error_type: "model_error",
      content: expect.stringContaining("503"),
    });
    expect(requests("[[error=503]]")).toBe(3);
    expect(await (await fetch(`${server.url}/agents/copilot/runs/${failed.run_id}`)).json()).toMatchObject({
      status: "error",
      content: failed.content,
    });
  });

  test("a refusal that will not pass is not tried again, and names what to do", async () => {
    const failed = await run("[[error=401]]");
    expect(failed).toMatchObject({ status: "error", content: expect.stringContaining("OPENAI_API_KEY") });
    expect(requests("[[error=401]]")).toBe(1);
  });

  test("a connection that drops before the answer began is tried again", async () => {
    const message = "[[tokens=10]] [[drop=0]]";
    const events = await readEvents(await server.run({ message }));
    expect(outline(events)).toEqual(["RunStarted", "ModelRequestStarted", "RunError"]);
    expect(requests(message)).toBe(3);
  });

  test("a connection that drops in the middle of an answer is not: nobody hears a thing twice", async () => {
    const message = "[[tokens=10]] [[drop=3]]";
    const events = await readEvents(await server.run({ message }));
    expect(outline(events)).toEqual(["RunStarted", "ModelRequestStarted", "RunContent", "RunError"]);
    expect(events.filter(({ event }) => event === "RunContent")).toHaveLength(3);
    expect(events.at(-1)).toMatchObject({ content: expect.stringContaining("connection") });
    expect(requests(message)).toBe(1);
  });

  test("a failure after a tool call keeps the call", async () => {
    const failed = await run('[[tool=add {"a":1,"b":2}]] [[tool=boom]] [[errors=0:400]]');
    expect(failed.status).toBe("completed");
    expect(failed.tools).toMatchObject([
      { tool_name: "add", result: "3", tool_call_error: false },
      { tool_name: "boom", result: "the boom", tool_call_error: true },
    ]);
    expect(failed.content).toMatch(/3/);
    expect(failed.content).toMatch(/the boom/);
  });

  test("a run that takes longer than its limit ends as error, streamed or not", async () => {
    const failed = await run("[[ttft=60000]]");
    expect(failed).toMatchObject({
      status: "error",
      error_type: "run_timeout",
      content: expect.stringContaining("2 s"),
    });
    const events = await readEvents(await server.run({ message: "[[delay=100]] [[tokens=1000]]" }));
    expect(outline(events)).toEqual(["RunStarted", "ModelRequestStarted", "RunContent", "RunError"]);
  });

  const output_schema = {
    title: "Weather",
    type: "object",
    properties: { city: { type: "string" }, degrees: { type: "number" } },
    required: ["city", "degrees"],
  };

  test("an answer that fits the output schema is an object, named for the schema", async () => {
    const message = '[[say={"city":"Rome","degrees":31}]]';
    const object = { city: "Rome", degrees: 31 };
    expect(await run(message, { output_schema })).toMatchObject({
      status: "completed",
      content: object,
      content_type: "Weather",
    });
    const events = await readEvents(await server.run({ message, output_schema }));
    expect(events.at(-1)).toMatchObject({ event: "RunCompleted", content: object, content_type: "Weather" });
  });

  test.each([
    ["is no JSON", "[[say=It is hot]]"],
    ["lacks a field", '[[say={"city":"Rome"}]]'],
    ["has a wrong type", '[[say={"city":"Rome","degrees":"hot"}]]'],
  ])("an answer that %s ends the run as error", async (_, message) => {
    const failed = await run(message, { output_schema });
    expect(failed).toMatchObject({
      status: "error",
      error_type: "output_schema_error",
      content: expect.stringContaining("schema"),
    });
  });

  test("an agent's own output schema holds over HTTP", async () => {
    const typed = await startServer({ agent: { outputSchema: z.object({ n: z.number() }) as never } });
    const answer = await typed.run({ message: '[[say={"n":1}]]', stream: false });
    expect((await answer.json()).content).toEqual({ n: 1 });
    await typed.close();
  });
});
