import { Agent, AgentOS, EchoModel, fold, type RunEvent } from "agentos-ts";
import { describe, expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { startMockModel } from "../support/mock-model.ts";
import { readEvents } from "../support/read-events.ts";
import { startServerProcess } from "../support/server-process.ts";
import { Traces } from "../support/traces.ts";

describe.each(engines)("on $name", { retry: 1 }, (engine) => {
  test("a foreground run whose server was killed ends as error, with what was stored of it, and can be replayed", async () => {
    const location = await engine.createLocation();
    const model = await startMockModel();
    const killed = await startServerProcess({ ...engine.environment(location), OPENAI_BASE_URL: model.url });
    const response = await fetch(`${killed.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message: "go [[tokens=500]] [[delay=10]]", session_id: "one", user_id: "ada" }),
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("word50 ")) text += (await reader.read()).value;
    const runId = /"run_id":"([^"]+)"/.exec(text)![1]!;
    await killed.kill("SIGKILL");
    await reader.cancel().catch(() => undefined);

    const agent = new Agent({ id: "copilot", model: new EchoModel(), db: engine.connect(location) });
    const os = new AgentOS({
      agents: [agent],
      lease: { lease: 1000, beat: 300, sweep: 200 },
      logLevel: "silent",
    });
    const { url } = await os.serve({ port: 0, banner: false, handleSignals: false });
    const stored = async () => (await fetch(`${url}/agents/copilot/runs/${runId}`)).json();
    await vi.waitUntil(async () => (await stored()).status === "error", { timeout: 15_000 });
    const run = await stored();
    expect(run).toMatchObject({ error_type: "server_stopped", content: expect.stringContaining("stopped") });

    const replayed = await fetch(`${url}/agents/copilot/runs/${runId}/resume`, { method: "POST" });
    const events = (await readEvents(replayed)) as RunEvent[];
    const ofRun = events.filter((event) => "event_index" in event);
    expect(ofRun.map((event) => event.event_index)).toEqual(ofRun.map((_, i) => i));
    expect(ofRun.at(-1)).toMatchObject({ event: "RunError", error_type: "server_stopped" });
    // Written at most 200 ms late, of which a token takes 10.
    expect(ofRun.filter(({ event }) => event === "RunContent").length).toBeGreaterThan(10);
    // A reader that saw more than was stored learns how the run ended, whatever its cursor.
    const last = ofRun.at(-1)!.event_index;
    for (const [method, cursor] of [
      ["POST", last],
      ["POST", last + 40],
      ["GET", last + 40],
    ] as const) {
      const ahead = await fetch(`${url}/agents/copilot/runs/${runId}/resume?last_event_index=${cursor}`, {
        method,
      });
      expect((await readEvents(ahead)).at(-1)).toMatchObject({ event: "RunError" });
    }
    const folded = fold(ofRun);
    expect(folded).toMatchObject({ status: run.status, content: run.content, tools: run.tools });

    const trace = await new Traces(url).ofRun(runId);
    expect(trace).toMatchObject({ status: "ERROR", output: run.content, user_id: "ada", session_id: "one" });
    expect(trace.tree).toMatchObject([
      { type: "AGENT", name: "invoke_agent copilot", status: "ERROR", error: run.content },
    ]);
    expect(trace.tree[0]!.metadata).toMatchObject({ run_status: "error" });
    expect(Number.parseFloat(trace.duration)).toBeGreaterThan(500);

    const next = await agent.run("still there?", { sessionId: "one", userId: "ada" });
    expect(next.status).toBe("completed");
    await os.close();
    await model.close();
  });

  test("a run that is under way is left alone by another server that starts", async () => {
    if (engine.name === "sqlite") return;
    const location = await engine.createLocation();
    const model = await startMockModel();
    const first = await startServerProcess({ ...engine.environment(location), OPENAI_BASE_URL: model.url });
    const running = fetch(`${first.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message: "go [[tokens=60]] [[delay=20]]", stream: false }),
    });
    await vi.waitUntil(() => model.requests.length > 0);
    const second = new AgentOS({
      agents: [new Agent({ id: "copilot", model: new EchoModel(), db: engine.connect(location) })],
      lease: { lease: 1000, beat: 300, sweep: 100 },
      logLevel: "silent",
    });
    await second.serve({ port: 0, banner: false, handleSignals: false });
    expect(await (await running).json()).toMatchObject({ status: "completed" });
    await second.close();
    await first.kill("SIGKILL");
    await model.close();
  });
});
