import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fold, type Run, type RunEvent } from "agentos-ts";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { readEvents } from "../support/read-events.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

const interruptedApp = new URL("../support/interrupted-app.ts", import.meta.url);

const patience = { timeout: 20_000 };

/** Calls of the runs of an agent. */
function at(server: ServerProcess, agent: string) {
  const path = `${server.url}/agents/${agent}/runs`;
  const post = (url: string, body: object) =>
    fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  return {
    create: (body: object) => post(path, body),
    continue: (runId: string, body: object) => post(`${path}/${runId}/continue`, body),
    get: async (runId: string): Promise<Run> => (await fetch(`${path}/${runId}`)).json(),
    /** The whole log of a run, once it has ended or paused. */
    log: async (runId: string): Promise<RunEvent[]> =>
      (await readEvents(await fetch(`${path}/${runId}/resume`, { method: "POST" }))).filter(
        (event) => "event_index" in event,
      ),
  };
}

const decide = (run: Run, confirmed = true) => ({
  tools: run.requirements
    .filter(({ tool_execution }) => tool_execution.requires_confirmation)
    .map(({ tool_execution }) => ({ tool_call_id: tool_execution.tool_call_id, confirmed })),
});

/** That a log is whole, and that what is stored is its fold. */
function expectFold(log: readonly RunEvent[], run: Run): void {
  expect(log.map(({ event_index }) => event_index)).toEqual(log.map((_, i) => i));
  const { last_event_index: _, reasoning_content: __, ...folded } = fold(log);
  expect(run).toMatchObject(folded);
}

describe.each(engines)("on $name", { retry: 1 }, (engine) => {
  // Milliseconds. SQLite's next server takes over at once; PostgreSQL's waits for the end of the lease.
  const lease = engine.name === "sqlite" ? "10000" : "3000";
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
      OPENAI_BASE_URL: model.url,
      TEST_LEASE: lease,
    });
    return server;
  }

  test("a run that is paused when its server is killed goes on in the next one", async () => {
    const location = await engine.createLocation();
    const first = await start(location);
    const message = 'go [[tool=wipe {"path":"a"}]]';
    const answer = await at(first, "approver").create({ message, stream: false, session_id: "s" });
    const paused = (await answer.json()) as Run;
    expect(paused.status).toBe("paused");
    await first.kill("SIGKILL");

    const second = await start(location);
    const runs = at(second, "approver");
    expect(await runs.get(paused.run_id)).toMatchObject({
      status: "paused",
      requirements: paused.requirements,
      messages: paused.messages,
    });
    const events = await readEvents(await runs.continue(paused.run_id, decide(paused)));
    expect(events[0]).toMatchObject({ event: "RunContinued" });
    expect(events.at(-1)).toMatchObject({ event: "RunCompleted", content: "Tool said: wiped a" });
    const log = await runs.log(paused.run_id);
    expect(log.slice(-events.length)).toEqual(events);
    expectFold(log, await runs.get(paused.run_id));
  });

  test("a decision that was accepted for the background outlives the server", async () => {
    const location = await engine.createLocation();
    const first = await start(location);
    const runs = at(first, "approver");
    const message = 'go [[tool=wipe {"path":"b"}]] [[ttft=1000]]';
    const { run_id } = await (await runs.create({ message, background: true })).json();
    await runs.log(run_id);
    const paused = await runs.get(run_id);
    expect(paused.status).toBe("paused");
    const answer = await runs.continue(run_id, { ...decide(paused), background: true });
    expect(answer.status).toBe(202);
    await first.kill("SIGKILL");

    const second = at(await start(location), "approver");
    const log = await second.log(run_id);
    const run = await second.get(run_id);
    expect(run).toMatchObject({ status: "completed", content: "Tool said: wiped b" });
    expectFold(log, run);
    expect(log.filter(({ event }) => event === "RunContinued")).toHaveLength(1);
    expect((await second.continue(run_id, decide(paused))).status).toBe(409);
  });

  describe("of a call that was under way when the server was killed", () => {
    /** Starts the app, with a file for the calls that it makes. */
    async function startApp() {
      const calls = join(await mkdtemp(join(tmpdir(), "agentos-interrupted-")), "calls");
      await writeFile(calls, "");
      const environment = {
        ...engine.environment(await engine.createLocation()),
        TEST_CALLS: calls,
        TEST_LEASE: lease,
      };
      const made = async () => (await readFile(calls, "utf8")).trim().split("\n").toSorted();
      const startAgain = async () => {
        server = await startServerProcess(environment, interruptedApp);
        return server;
      };
      return { made, startAgain };
    }

    /** Kills a server in the middle of a call of `agent`, and starts the next one. */
    async function interrupted(agent: string) {
      const { made, startAgain } = await startApp();
      const server = await startAgain();
      const created = await at(server, agent).create({ message: "go", background: true });
      const { run_id } = await created.json();
      await vi.waitUntil(async () => (await made()).length === 2, patience);
      // The quick call's result is a checkpoint of its own.
      await vi.waitUntil(
        async () => (await at(server, agent).get(run_id)).tools[0]?.result === "quick",
        patience,
      );
      await server.kill("SIGKILL");
      return { runs: at(await startAgain(), agent), run_id: run_id as string, made };
    }

    test("in foreground, behind a pause, the run ends as error, with its decisions", async () => {
      const { made, startAgain } = await startApp();
      const first = await startAgain();
      const created = await at(first, "waiting").create({ message: "go", stream: false });
      const paused = (await created.json()) as Run;
      await at(first, "waiting").continue(paused.run_id, decide(paused));
      await vi.waitUntil(async () => (await made())[0]?.startsWith("repeat"), patience);
      await first.kill("SIGKILL");
      const second = at(await startAgain(), "waiting");
      await vi.waitUntil(async () => (await second.get(paused.run_id)).status === "error", patience);
      const run = await second.get(paused.run_id);
      expect(run).toMatchObject({
        error_type: "server_stopped",
        requirements: [{ tool_execution: { confirmed: true, result: "allowed" } }],
      });
      expectFold(await second.log(paused.run_id), run);
      // What was done is not done again by the run that goes on from there.
      const next = await (await second.continue(paused.run_id, { stream: false })).json();
      expect(next).toMatchObject({ status: "completed", forked_from_run_id: paused.run_id });
    });

    test("in foreground, the run that goes on from the lost one is not sure of it", async () => {
      const { made, startAgain } = await startApp();
      const first = await startAgain();
      const lost = at(first, "ask")
        .create({ message: "go", stream: false, session_id: "lost" })
        .catch(() => undefined);
      await vi.waitUntil(async () => (await made()).some((call) => call.startsWith("ask")), patience);
      // A foreground run is stored behind: its turn with the call must have come to the database.
      const stored = await vi.waitUntil(async () => {
        const [run] = (await (await fetch(`${first.url}/agents/ask/runs?session_id=lost`)).json()) as Run[];
        return run?.messages.some((message) => message.tool_calls) && run;
      }, patience);
      await first.kill("SIGKILL");
      await lost;
      const second = await startAgain();
      const runs = at(second, "ask");
      const { run_id } = stored;
      await vi.waitUntil(async () => (await runs.get(run_id)).status === "error", patience);
      const next = (await (await runs.continue(run_id, { stream: false })).json()) as Run;
      expect(next).toMatchObject({ status: "paused", forked_from_run_id: run_id });
      expect(next.tools.some((tool) => tool.result_unknown)).toBe(true);
      expect((await made()).filter((call) => call.startsWith("ask"))).toHaveLength(1);
    });

    test("repeat makes it again, under the same id, and no other call", async () => {
      const { runs, run_id, made } = await interrupted("repeat");
      const log = await runs.log(run_id);
      const run = await runs.get(run_id);
      expect(run).toMatchObject({ status: "completed", content: "Done." });
      expect(run.tools).toMatchObject([{ result: "quick" }, { result: "returned", tool_call_error: false }]);
      const [quick, once, again] = await made();
      expect(quick).toMatch(/^quick /);
      expect(once).toMatch(/^repeat /);
      expect(again).toBe(once);
      expectFold(log, run);
    });

    test("fail tells the model that it may have happened, and does not make it again", async () => {
      const { runs, run_id, made } = await interrupted("fail");
      const log = await runs.log(run_id);
      const run = await runs.get(run_id);
      expect(run).toMatchObject({ status: "completed", content: "Done." });
      expect(run.tools[1]).toMatchObject({
        tool_call_error: true,
        result: expect.stringContaining("not known"),
      });
      expect(await made()).toHaveLength(2);
      expectFold(log, run);
    });

    test("ask pauses the run; it is made again, left out, or its result is told", async () => {
      const { runs, run_id, made } = await interrupted("ask");
      const log = await runs.log(run_id);
      const paused = await runs.get(run_id);
      expect(paused).toMatchObject({
        status: "paused",
        requirements: [{ tool_execution: { result_unknown: true, requires_confirmation: true } }],
      });
      expectFold(log, paused);
      expect(await made()).toHaveLength(2);
      const answer = await runs.continue(run_id, { ...decide(paused), stream: false });
      expect(await answer.json()).toMatchObject({ status: "completed", tools: [{}, { result: "returned" }] });
      expect(await made()).toHaveLength(3);
      expectFold(await runs.log(run_id), await runs.get(run_id));
    });
  });
});
