import { tool } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** The next part of a stream. Fails where it has ended: what is waited for will not come. */
async function next(reader: ReadableStreamDefaultReader<string>): Promise<string> {
  const { done, value } = await reader.read();
  if (done) throw new Error("the stream has ended");
  return value;
}

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let toolSignal: AbortSignal | undefined;

  beforeAll(async () => {
    const stuck = tool({
      name: "stuck",
      description: "Never returns, and does not listen.",
      inputSchema: z.object({}),
      execute: (_, { signal }) => {
        toolSignal = signal;
        return new Promise(() => undefined);
      },
    });
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [stuck] },
    });
  });
  afterAll(() => server.close());

  const post = (path: string, init: RequestInit = {}) =>
    fetch(`${server.url}/agents/copilot/runs/${path}`, { method: "POST", ...init });
  const stored = async (runId: string) => (await fetch(`${server.url}/agents/copilot/runs/${runId}`)).json();

  /** Starts a streamed run and reads until an event of a kind has come. */
  async function started(message: string, until: string, more: object = {}) {
    const abort = new AbortController();
    const response = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message, session_id: "one", ...more }),
      signal: abort.signal,
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes(`event: ${until}\n`)) text += await next(reader);
    const rest = async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
      return text;
    };
    return { runId: /"run_id":"([^"]+)"/.exec(text)![1]!, rest, leave: () => abort.abort() };
  }

  test("ends a stream with RunCancelled, which holds what was said, and the session goes on", async () => {
    const { runId, rest } = await started("go [[tokens=500]] [[delay=10]]", "RunContent");
    expect((await post(`${runId}/cancel`)).status).toBe(200);
    const events = (await rest()).match(/^event: \w+$/gm)!;
    expect(events.at(-1)).toBe("event: RunCancelled");
    expect(await stored(runId)).toMatchObject({
      status: "cancelled",
      content: expect.stringMatching(/^word0 /),
    });
    const next = await (await server.run({ message: "and now", session_id: "one", stream: false })).json();
    expect(next).toMatchObject({ status: "completed" });
    expect(JSON.stringify(server.model.requests.at(-1)?.body)).not.toContain("word0");
  });

  test("tells a tool at once, and does not wait for one that does not listen", async () => {
    const { runId, rest } = await started("[[tool=stuck {}]]", "ToolCallStarted");
    await vi.waitUntil(() => toolSignal !== undefined);
    expect((await post(`${runId}/cancel`)).status).toBe(200);
    expect(toolSignal?.aborted).toBe(true);
    expect(await rest()).toContain("event: RunCancelled");
    expect(await stored(runId)).toMatchObject({ status: "cancelled" });
  });

  test("twice, or of a run that has ended, changes nothing", async () => {
    const done = await (await server.run({ message: "hi", stream: false })).json();
    expect((await post(`${done.run_id}/cancel`)).status).toBe(200);
    expect((await post(`${done.run_id}/cancel`)).status).toBe(200);
    expect(await stored(done.run_id)).toMatchObject({ status: "completed", content: done.content });
  });

  test("of a run that is not there, or not of that session or user, is 404 and cancels nothing", async () => {
    const { runId, rest } = await started("go [[tokens=20]] [[delay=10]]", "RunContent", { user_id: "ada" });
    expect((await post("run_none/cancel")).status).toBe(404);
    expect((await post(`${runId}/cancel?session_id=other`)).status).toBe(404);
    const json = { headers: { "content-type": "application/json" }, body: '{"user_id":"eve"}' };
    expect((await post(`${runId}/cancel`, json)).status).toBe(404);
    expect(await rest()).toContain("event: RunCompleted");
  });

  test("by leaving: only with cancel_on_disconnect, streamed or not", async () => {
    const streamed = await started("a [[tokens=500]] [[delay=10]]", "RunContent", {
      cancel_on_disconnect: true,
      session_id: "leaving",
    });
    streamed.leave();
    await vi.waitUntil(async () => (await stored(streamed.runId)).status === "cancelled");

    const abort = new AbortController();
    const asked = server.model.requests.length;
    const waiting = fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        message: "b [[ttft=20000]]",
        session_id: "left",
        stream: false,
        cancel_on_disconnect: true,
      }),
      signal: abort.signal,
    });
    await vi.waitUntil(() => server.model.requests.length > asked);
    abort.abort();
    await expect(waiting).rejects.toThrow();
    const runs = async () =>
      (await fetch(`${server.url}/agents/copilot/runs?session_id=left`)).json() as Promise<
        { status: string }[]
      >;
    await vi.waitUntil(async () => (await runs())[0]?.status === "cancelled");
  });

  test("by leaving while the run is accepted", async () => {
    const left = (stream: boolean) =>
      server.os.getApp().request("/agents/copilot/runs", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ message: "c [[ttft=20000]]", stream, cancel_on_disconnect: true }),
        signal: AbortSignal.abort(),
      });
    expect(await (await left(false)).json()).toMatchObject({ status: "cancelled" });
    expect(await (await left(true)).text()).toContain("event: RunCancelled");
  });
});
