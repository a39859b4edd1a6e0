import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fold, type RunEvent } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { readFrames } from "../support/read-events.ts";
import { runsOf } from "../support/runs.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

describe.each(engines)("on $name", (engine) => {
  let model: MockModel;
  let recorded: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    model = await startMockModel();
    recorded = join(await mkdtemp(join(tmpdir(), "agentos-takeover-")), "recorded");
    environment = {
      ...engine.environment(await engine.createLocation()),
      OPENAI_BASE_URL: model.url,
      CONFORMANCE_RECORD: recorded,
      TEST_LEASE: "3000",
    };
  });
  afterAll(() => model.close());

  const start = () => startServerProcess(environment);
  const inBackground = async (server: ServerProcess, message: string, more: object = {}) => {
    const answer = await runsOf(server).create({ message, background: true, ...more });
    expect(answer.status).toBe(202);
    return ((await answer.json()) as { run_id: string }).run_id;
  };
  const logOf = async (server: ServerProcess, runId: string): Promise<RunEvent[]> =>
    (await readFrames(await runsOf(server).resume(runId)))
      .map(({ data }) => data)
      .filter((event) => "event_index" in event);

  test("a run whose server is killed is taken up again, and its stored tool results are not made again", async () => {
    const first = await start();
    const message = `go [[tool=record {"text":"once"}]] [[tokens=100]] [[delay=20]]`;
    const seen = await runsOf(first).create({ message, background: true, stream: true });
    const reader = seen.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!/ToolCallCompleted[\s\S]*event: RunContent\n/.test(text))
      text += (await reader.read()).value ?? "";
    await first.kill("SIGKILL");
    const runId = /"run_id":"([^"]+)"/.exec(text)![1]!;

    const second = await start();
    const run = await runsOf(second).ended(runId);
    expect(run).toMatchObject({ status: "completed" });
    expect(await readFile(recorded, "utf8")).toBe("once\n");
    const log = await logOf(second, runId);
    expect(log.map(({ event_index }) => event_index)).toEqual(log.map((_, i) => i));
    expect(log.filter(({ event }) => event === "RunRecovered")).toHaveLength(1);
    // What the reader saw before the kill stands in the log as it was.
    const last = Number([...text.matchAll(/^id: (\d+)$/gm)].at(-1)![1]);
    expect(log.length).toBeGreaterThan(last);
    const folded = fold(log);
    expect(folded).toMatchObject({
      status: "completed",
      content: run.content,
      tools: run["tools"],
    });
    await second.kill("SIGTERM");
  });

  test("a run that waited is done, one that was to be cancelled ends cancelled, foreground ends as error", async () => {
    const first = await start();
    const slow = "go [[tokens=400]] [[delay=20]]";
    const running = await inBackground(first, slow, { session_id: "kill" });
    const waiting = await inBackground(first, "waits", { session_id: "kill" });
    const foreground = fetch(`${first.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message: slow, session_id: "foreground", stream: false }),
    }).catch(() => undefined);
    await vi.waitUntil(async () => (await runsOf(first).get(running)).status === "running");
    const listed = await vi.waitUntil(async () => {
      const runs = await (await fetch(`${first.url}/agents/copilot/runs?session_id=foreground`)).json();
      return runs[0] as { run_id: string } | undefined;
    });
    await first.kill("SIGKILL");
    await foreground;

    const second = await start();
    expect(await runsOf(second).ended(listed.run_id)).toMatchObject({
      status: "error",
      error_type: "server_stopped",
    });
    expect((await runsOf(second).cancel(running)).status).toBe(200);
    expect(await runsOf(second).ended(running)).toMatchObject({ status: "cancelled" });
    expect(await runsOf(second).ended(waiting)).toMatchObject({ status: "completed" });
    await second.kill("SIGTERM");
  });

  test("a server that stops gives its background runs back at their next checkpoint", async () => {
    const first = await start();
    const message = `go [[tokens=60]] [[delay=10]] [[tool=record {"text":"drained"}]]`;
    const runId = await inBackground(first, message);
    await vi.waitUntil(async () => (await runsOf(first).get(runId)).status === "running");
    await first.kill("SIGTERM");
    const second = await start();
    expect(await runsOf(second).ended(runId)).toMatchObject({ status: "completed" });
    const log = await logOf(second, runId);
    expect(log.map(({ event_index }) => event_index)).toEqual(log.map((_, i) => i));
    expect((await readFile(recorded, "utf8")).match(/drained/g)).toHaveLength(1);
    await second.kill("SIGTERM");
  });
});
