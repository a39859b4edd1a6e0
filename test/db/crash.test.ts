import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { framesOf, readUntil } from "../support/read-events.ts";
import { countRows } from "../support/second-connection.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

describe.each(engines)("after kill -9 on $name", (engine) => {
  let model: MockModel;
  let server: ServerProcess | undefined;

  beforeAll(async () => {
    model = await startMockModel();
  });
  afterAll(() => model.close());
  afterEach(() => server?.kill("SIGKILL"));

  async function start(location: string): Promise<ServerProcess> {
    server = await startServerProcess({
      ...engine.environment(location),
      OPENAI_API_KEY: "test",
      OPENAI_BASE_URL: model.url,
    });
    return server;
  }

  function post({ url }: ServerProcess, body: object): Promise<Response> {
    return fetch(`${url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  const add = '[[tool=add {"a":1,"b":2}]]';

  test("an answer that was sent is there, with its messages and tools", async () => {
    const location = await engine.createLocation();
    const first = await start(location);
    const answer = await (
      await post(first, { message: `sum ${add}`, session_id: "s", user_id: "ada", stream: false })
    ).json();
    await first.kill("SIGKILL");
    const second = await start(location);
    const stored = await (await fetch(`${second.url}/agents/copilot/runs/${answer.run_id}`)).json();
    expect(stored).toEqual({ ...answer, updated_at: expect.any(Number), events: [] });
    expect(stored.content).toBe("Tool said: 3");
  });

  test("many answers that were sent at once are all there", async () => {
    const location = await engine.createLocation();
    const first = await start(location);
    const answers = await Promise.all(
      Array.from({ length: 32 }, async (_, i) =>
        (await post(first, { message: `n${i}`, session_id: `s${i % 3}`, stream: false })).json(),
      ),
    );
    await first.kill("SIGKILL");
    const second = await start(location);
    for (const { run_id, content } of answers) {
      const stored = await (await fetch(`${second.url}/agents/copilot/runs/${run_id}`)).json();
      expect(stored).toMatchObject({ status: "completed", content });
    }
  });

  test("a stream's last event is stored before it is sent", async () => {
    const location = await engine.createLocation();
    const first = await start(location);
    const response = await post(first, { message: `sum ${add}`, session_id: "s" });
    const got = await readUntil(response.body!.getReader(), "event: RunCompleted");
    await first.kill("SIGKILL");
    const { run_id } = framesOf(got)[0]!.data;
    const second = await start(location);
    const stored = await (await fetch(`${second.url}/agents/copilot/runs/${run_id}`)).json();
    expect(stored).toMatchObject({ status: "completed", content: "Tool said: 3" });
    expect(stored.tools).toHaveLength(1);
  });

  test("a run whose first event was sent is there with what it was asked", async () => {
    const location = await engine.createLocation();
    const first = await start(location);
    const message = `sum ${add} [[ttft=60000]]`;
    const response = await post(first, { message, session_id: "s", user_id: "ada", metadata: { k: 1 } });
    const got = await readUntil(response.body!.getReader(), "event: RunStarted");
    await first.kill("SIGKILL");
    const { run_id } = framesOf(`${got}\n\n`)[0]!.data;
    const second = await start(location);
    const stored = await (await fetch(`${second.url}/agents/copilot/runs/${run_id}?user_id=ada`)).json();
    expect(stored).toMatchObject({
      run_id,
      session_id: "s",
      input: { input_content: message },
      metadata: { k: 1 },
    });
  });

  test("a tool's result that a model turn has followed is there", async () => {
    const location = await engine.createLocation();
    const first = await start(location);
    const response = await post(first, { message: `${add} [[delay=50]] [[tokens=1000]]`, session_id: "s" });
    const got = await readUntil(response.body!.getReader(), "word20 ");
    await first.kill("SIGKILL");
    const { run_id } = framesOf(got)[0]!.data;
    const second = await start(location);
    const stored = await (await fetch(`${second.url}/agents/copilot/runs/${run_id}`)).json();
    expect(stored.tools).toMatchObject([{ tool_name: "add", result: "3" }]);
    expect(stored.messages.map(({ role }: { role: string }) => role)).toEqual(["user", "assistant", "tool"]);
    expect((await countRows(engine, location)).runs).toBe(1);
  });
});
