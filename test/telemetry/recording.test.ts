import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import { Agent, AgentOS, type ContentSource, EchoModel, PostgresDb, SqliteDb } from "agentos-ts";
import { describe, expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { logOf } from "../support/log-of.ts";
import { add, boom } from "../support/run-tools.ts";
import { query } from "../support/second-connection.ts";
import { startServer } from "../support/server.ts";
import { proxyOf } from "../support/tcp-proxy.ts";
import { finished, flat, Traces } from "../support/traces.ts";

/** Keeps what has ended. */
class SimpleSpans implements SpanProcessor {
  readonly #ended: ReadableSpan[];
  constructor(ended: ReadableSpan[]) {
    this.#ended = ended;
  }
  onStart(): void {}
  onEnd(span: ReadableSpan): void {
    this.#ended.push(span);
  }
  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

const secret = 'my card is 4111-1111 [[tool=add {"a":4111,"b":1}]] [[tool=boom {}]]';

describe("what is recorded", () => {
  test("without contents nothing that was said is stored, and everything else is", async () => {
    const db = new SqliteDb({ path: await engines[0]!.createLocation() });
    const server = await startServer({
      db,
      agent: { tools: [add, boom] },
      os: { traces: { content: false } },
    });
    const run = await finished(server, { message: secret });
    const failed = await finished(server, { message: "card 4111-1111 [[error=400]]" });
    const trace = await new Traces(server.url).ofRun(run.run_id);
    await new Traces(server.url).ofRun(failed.run_id);
    expect(trace).toMatchObject({ input: "", output: "", total_spans: 5, error_count: 1 });
    expect(flat(trace.tree).map(({ type }) => type)).toEqual(["AGENT", "LLM", "TOOL", "TOOL", "LLM"]);
    expect(trace.tree[0]!.metadata["total_input_tokens"]).toBe(run.metrics["input_tokens"]);
    const rows = await query(engines[0]!, db.location, "SELECT * FROM traces");
    expect(rows).toHaveLength(2);
    expect(JSON.stringify(rows)).not.toMatch(/4111|card|the boom/);
    await server.close();
  });

  test("a function changes every text before it is stored, and learns what it is; where it throws the text is left out", async () => {
    const seen: ContentSource[] = [];
    const { lines, logger } = logOf();
    const server = await startServer({
      agent: { tools: [add, boom], instructions: "Be brief." },
      os: {
        logger,
        traces: {
          redact: (text, source) => {
            seen.push(source);
            if (source.kind === "tool_result") throw new Error("broken rule");
            return text.replaceAll(/\d{4}/g, "****");
          },
        },
      },
    });
    const run = await finished(server, { message: secret, user_id: "ada", session_id: "r1" });
    const trace = await new Traces(server.url).ofRun(run.run_id);
    expect(trace.input).toContain("my card is ****-****");
    expect(JSON.stringify(trace)).not.toContain("4111");
    expect(flat(trace.tree).find(({ name }) => name === "add")).toMatchObject({
      input: '{"a":****,"b":1}',
      output: "[not recorded: its redaction failed]",
    });
    expect(new Set(seen.map(({ kind }) => kind))).toEqual(
      new Set(["instructions", "input", "output", "tool_arguments", "tool_result", "error"]),
    );
    expect(seen[0]).toMatchObject({ runId: run.run_id, sessionId: "r1", agentId: "copilot", userId: "ada" });
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: expect.stringContaining("redaction failed"),
        run_id: run.run_id,
        session_id: "r1",
        trace_id: trace.trace_id,
      }),
    );
    await server.close();
  });

  test("redaction sees whole texts, also across the length that is kept, and the addresses of files", async () => {
    const ended: ReadableSpan[] = [];
    const server = await startServer({
      os: {
        traces: {
          redact: (text) => text.replaceAll(/\d{16}/g, "[card]").replaceAll(/\/media\/.*/g, "[file]"),
          spanProcessors: [new SimpleSpans(ended)],
        },
      },
    });
    const form = new FormData();
    form.set("message", `${"x".repeat(32 * 1024 - 8)}4111111111111111${"y".repeat(100)}`);
    form.set("stream", "false");
    form.set("files", new File(["hello"], "a.txt", { type: "text/plain" }));
    const answer = await fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: form });
    expect(answer.status).toBe(200);
    await server.close();
    const recorded = JSON.stringify(ended.map(({ attributes }) => attributes));
    expect(recorded).toContain("more characters are not recorded");
    expect(recorded).not.toContain("4111");
    expect(recorded).toContain('\\"uri\\":\\"[file]\\"');
    expect(recorded).not.toContain("/media/");
  });

  test("with traces off none are stored", async () => {
    const db = new SqliteDb({ path: await engines[0]!.createLocation() });
    const server = await startServer({ db, os: { traces: false } });
    await finished(server, { message: "hi" });
    await server.os.close();
    expect(await query(engines[0]!, db.location, "SELECT * FROM traces")).toEqual([]);
    await server.close();
  });

  test("options that cannot work are refused by name", () => {
    const agent = new Agent({ id: "a", model: new EchoModel() });
    for (const traces of [{ retentionDays: 0 }, { content: "no" }, { colour: "red" }, { redact: "all" }]) {
      expect(() => new AgentOS({ agents: [agent], traces: traces as never })).toThrow(/traces/);
    }
    for (const prices of [{ m: { input: -1, output: 1 } }, { m: { input: 1 } }, { m: 3 }]) {
      expect(() => new AgentOS({ agents: [agent], prices: prices as never })).toThrow(/prices/);
    }
  });
});

describe("the log", () => {
  test("every line of a run names run, session and trace, and at info nothing that was said", async () => {
    const { lines, logger } = logOf();
    const server = await startServer({ os: { logger }, agent: { autoNameSessions: true } });
    const run = await finished(server, { message: "the word is xyzzy [[say=plugh]]", session_id: "logged" });
    const { trace_id } = await new Traces(server.url).ofRun(run.run_id);
    await server.close();
    const ofRun = lines.filter((line) => line["run_id"] === run.run_id);
    expect(ofRun).toContainEqual(expect.objectContaining({ msg: "run ended" }));
    for (const line of ofRun) expect(line).toMatchObject({ session_id: "logged", trace_id });
    expect(JSON.stringify(lines)).not.toMatch(/xyzzy|plugh/);
  });
});

describe.each(engines)("retention on $name", (engine) => {
  test("traces that are older than they may be are deleted, and only those", async () => {
    const location = await engine.createLocation();
    const first = await startServer({ db: engine.connect(location) });
    const old = [];
    for (let i = 0; i < 3; i++) old.push((await finished(first, { message: `old ${i}` })).run_id);
    const young = await finished(first, { message: "young" });
    await first.close();
    const names = old.map((id) => `'${id}'`).join(", ");
    await query(
      engine,
      location,
      `UPDATE traces SET start_time = start_time - 172800000 WHERE run_id IN (${names})${engine.name === "sqlite" ? " RETURNING run_id" : ""}`,
    );
    const second = await startServer({ db: engine.connect(location), os: { traces: { retentionDays: 1 } } });
    const next = await finished(second, { message: "next" });
    await new Traces(second.url).ofRun(next.run_id);
    await vi.waitFor(
      async () => {
        const { data } = await new Traces(second.url).list();
        expect(data.map(({ run_id }) => run_id)).toEqual([next.run_id, young.run_id]);
      },
      { timeout: 10_000, interval: 50 },
    );
    await second.close();
  });
});

test("span processors that fail lose their spans, and nothing else: the run is answered and stored", async () => {
  const { lines, logger } = logOf("warn");
  const failing = {
    onStart: () => undefined,
    onEnd: () => {
      throw new Error("broken processor");
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => {
      throw new Error("broken shutdown");
    },
  };
  const names: string[] = [];
  const working = {
    ...failing,
    onEnd: ({ name }: { name: string }) => names.push(name),
    shutdown: () => Promise.resolve(),
  };
  const server = await startServer({
    agent: { tools: [add] },
    os: { logger, traces: { spanProcessors: [failing, working] } },
  });
  const run = await finished(server, { message: 'go [[tool=add {"a":1,"b":2}]]', session_id: "kept" });
  expect(run.status).toBe("completed");
  const stored = (await (
    await fetch(`${server.url}/agents/copilot/runs/${run.run_id}?session_id=kept`)
  ).json()) as object;
  expect(stored).toMatchObject({ status: "completed", content: run.content });
  expect((await new Traces(server.url).ofRun(run.run_id)).total_spans).toBe(4);
  expect(names).toEqual(["chat gpt-5.5", "execute_tool add", "chat gpt-5.5", "invoke_agent copilot"]);
  const metrics = await (await fetch(`${server.url}/metrics/prometheus`)).text();
  expect(metrics).toMatch(/^agentos_spans_dropped_total 4$/m);
  expect(metrics).toMatch(/^agentos_runs_total\{agent="copilot",status="completed"\} 1$/m);
  // Four times in a moment is told once.
  expect(lines.filter(({ msg }) => msg === "a span processor failed")).toMatchObject([
    { level: 40, err: { message: "broken processor" } },
  ]);
  await server.close();
});

test.each(engines)(
  "on $name, a database that is closed while its server stops waits for the traces too",
  async (engine) => {
    const location = await engine.createLocation();
    const db = engine.connect(location);
    const server = await startServer({ db });
    await finished(server, { message: "hi" });
    const traces = db.traces();
    const writing = Promise.withResolvers<void>();
    vi.spyOn(db, "traces").mockReturnValue({
      sweep: (before, atOnce) => traces.sweep(before, atOnce),
      async write(batch) {
        writing.resolve();
        // Time enough to close the database beside it.
        for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
        await traces.write(batch);
      },
    });
    const stopped = server.close();
    await writing.promise;
    await db.close();
    await stopped;
    expect(await query(engine, location, "SELECT run_id FROM traces")).toHaveLength(1);
  },
);

describe("a database that is away", () => {
  test("loses spans at worst: they are written when it is back, and counted where they are not", async () => {
    const direct = await engines[1]!.createLocation();
    const { proxy, url } = await proxyOf(direct);
    const { lines, logger } = logOf("warn");
    const server = await startServer({ db: new PostgresDb({ url }), os: { logger } });
    const run = await finished(server, { message: "before" });
    proxy.stop();
    proxy.resume();
    // Written by a connection that was made anew, or tried again.
    expect((await new Traces(server.url).ofRun(run.run_id)).total_spans).toBe(2);
    const lost = await finished(server, { message: "lost" });
    expect(lost.status).toBe("completed");
    proxy.stop();
    await server.close();
    await proxy.close();
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: "spans were dropped", spans: 2, spans_in_all: 2 }),
    );
  });
});
