import { AgentOSClient, fold, type RunEvent } from "agentos-ts/client";
import { describe, expect, type TestContext, test } from "vitest";
import { engines } from "../support/engines.ts";
import { freePort } from "../support/free-port.ts";
import { startMockModel } from "../support/mock-model.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

/** Streams of the client whose server is killed, and started again. */

describe.each(engines)("on $name", { timeout: 90_000 }, (engine) => {
  /** A server that can be killed in the middle of everything, and comes back at the same place. */
  async function startMortal(
    atEnd: TestContext["onTestFinished"],
  ): Promise<{ client: AgentOSClient; restart: () => Promise<void> }> {
    const model = await startMockModel();
    const settings = {
      ...engine.environment(await engine.createLocation()),
      OPENAI_API_KEY: "test",
      OPENAI_BASE_URL: model.url,
      PORT: String(await freePort()),
    };
    let server: ServerProcess = await startServerProcess(settings);
    atEnd(async () => {
      await server.kill("SIGKILL");
      await model.close();
    });
    const client = new AgentOSClient({
      baseUrl: server.url,
      retryDelay: 0.1,
      maxRetryDelay: 0.5,
      reconnects: 60,
    });
    return {
      client,
      async restart() {
        await server.kill("SIGKILL");
        server = await startServerProcess(settings);
      },
    };
  }

  test.concurrent("a foreground run ends with why, and what was read folds to what is stored", async ({
    onTestFinished,
  }) => {
    const { client, restart } = await startMortal(onTestFinished);
    const events: RunEvent[] = [];
    const message = '[[tool=add {"a":1,"b":2}]] [[delay=20]] [[tokens=200]]';
    for await (const event of client.agents.stream("copilot", message)) {
      events.push(event);
      if (event.event_index === 60) await restart();
    }
    const end = events.pop()!;
    expect(end).toMatchObject({ event: "RunError", error_type: "server_stopped" });
    expect(events.map(({ event_index }) => event_index)).toEqual(events.map((_, i) => i));
    const { status, content, tools, reasoning_content } = fold([...events, end]);
    const run = await client.runs.get("copilot", end.run_id);
    expect({ status, content, tools }).toEqual({
      status: run.status,
      content: run.content,
      tools: run.tools,
    });
    expect(reasoning_content).toBe(run.reasoning_content ?? "");
  });

  test.concurrent("a background run goes on, and its reader gets each event once", async ({
    onTestFinished,
  }) => {
    const { client, restart } = await startMortal(onTestFinished);
    const events: RunEvent[] = [];
    const message = '[[tool=add {"a":1,"b":2}]] [[delay=20]] [[tokens=200]]';
    for await (const event of client.agents.stream("copilot", message, { background: true })) {
      events.push(event);
      if (event.event_index === 30) await restart();
    }
    expect(events.map(({ event_index }) => event_index)).toEqual(events.map((_, i) => i));
    expect(events.map(({ event }) => event)).toContain("RunRecovered");
    const { status, content, tools } = fold(events);
    const run = await client.runs.get("copilot", events[0]!.run_id);
    expect(run.status).toBe("completed");
    expect({ status, content, tools }).toEqual({
      status: run.status,
      content: run.content,
      tools: run.tools,
    });
  });
});
