import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { discardedTokens } from "../../src/events/discarded.ts";
import { type Engine, engines } from "../support/engines.ts";
import { send } from "../support/memories.ts";
import { add } from "../support/run-tools.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { finished } from "../support/traces.ts";

interface Day {
  id: string;
  date: string;
  agent_runs_count: number;
  failed_runs_count: number;
  cancelled_runs_count: number;
  agent_sessions_count: number;
  users_count: number;
  token_metrics: Record<string, number>;
  cost: number | null;
  unpriced_runs_count: number;
  model_metrics: { model_id: string; count: number; cost: number | null; input_tokens: number }[];
  latency_metrics: {
    agent_id: string;
    model_id: string;
    count: number;
    duration: { p50: number; p95: number };
    time_to_first_token: { p50: number; p95: number } | null;
  }[];
}

const today = () => new Date().toISOString().slice(0, 10);

async function days(server: TestServer, search = ""): Promise<Day[]> {
  const answer = await fetch(`${server.url}/metrics?${search}`);
  if (answer.status !== 200) throw new Error(await answer.text());
  return ((await answer.json()) as { metrics: Day[] }).metrics;
}

async function refresh(server: TestServer, search = ""): Promise<Day[]> {
  const answer = await fetch(`${server.url}/metrics/refresh?${search}`, { method: "POST" });
  if (answer.status !== 200) throw new Error(await answer.text());
  return (await answer.json()) as Day[];
}

/** Changes rows past the server. */
async function change(engine: Engine, location: string, sql: string, table: string): Promise<void> {
  await query(engine, location, engine.name === "sqlite" ? `${sql} RETURNING ${table}.run_id` : sql);
}

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let location: string;

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({
      db: engine.connect(location),
      agent: { tools: [add] },
      os: { prices: { "gpt-5.5": { input: 2, output: 10 } } },
    });
  });
  afterAll(() => server.close());

  test("a day counts runs, sessions, users, tokens, models and cost, for all and for each user", async () => {
    const runs = [
      await finished(server, { message: "one", session_id: "a1", user_id: "ann" }),
      await finished(server, { message: "two", session_id: "a1", user_id: "ann" }),
      await finished(server, { message: "three", session_id: "b1", user_id: "bob" }),
      await finished(server, { message: "bad [[error=400]]", session_id: "b2", user_id: "bob" }),
      await finished(server, { message: "nobody's" }),
    ];
    const [all] = await refresh(server);
    const sum = (key: string) => runs.reduce((total, run) => total + Number(run.metrics[key] ?? 0), 0);
    expect(all).toMatchObject({
      id: `${today()}_daily`,
      date: `${today()}T00:00:00Z`,
      agent_runs_count: 5,
      failed_runs_count: 1,
      cancelled_runs_count: 0,
      agent_sessions_count: 4,
      users_count: 2,
      unpriced_runs_count: 1,
      token_metrics: {
        input_tokens: sum("input_tokens"),
        output_tokens: sum("output_tokens"),
        total_tokens: sum("total_tokens"),
        discarded_tokens: 0,
      },
      model_metrics: [{ model_id: "gpt-5.5", model_provider: "OpenAI", count: 5 }],
      latency_metrics: [{ agent_id: "copilot", model_id: "gpt-5.5", count: 5 }],
    });
    expect(all!.cost).toBeCloseTo(sum("cost"), 9);
    const { duration, time_to_first_token: first } = all!.latency_metrics[0]!;
    expect(duration.p50).toBeGreaterThan(0);
    expect(duration.p95).toBeGreaterThanOrEqual(duration.p50);
    expect(first!.p95).toBeLessThanOrEqual(duration.p95 * 1.05);
    expect(await days(server)).toEqual([all]);
    const [ann] = await days(server, "user_id=ann");
    expect(ann).toMatchObject({
      agent_runs_count: 2,
      agent_sessions_count: 1,
      users_count: 1,
      latency_metrics: [],
    });
    expect(ann!.token_metrics["input_tokens"]).toBe(
      Number(runs[0]!.metrics["input_tokens"]) + Number(runs[1]!.metrics["input_tokens"]),
    );
    expect(await days(server, "user_id=nobody")).toEqual([]);
  });

  test("a refresh adds what is new, counts nothing twice, and says how it went", async () => {
    const before = (await refresh(server))[0]!;
    expect((await refresh(server))[0]).toEqual(before);
    await finished(server, { message: "four", session_id: "a1", user_id: "ann" });
    await Promise.all([refresh(server), refresh(server), refresh(server)]);
    const [after] = await days(server);
    expect(after).toMatchObject({
      agent_runs_count: before.agent_runs_count + 1,
      agent_sessions_count: before.agent_sessions_count,
      users_count: before.users_count,
    });
    const begun = await fetch(`${server.url}/metrics/refresh?background=true`, { method: "POST" });
    expect(begun.status).toBe(202);
    await vi.waitFor(async () => {
      const status = await (await fetch(`${server.url}/metrics/refresh/status`)).json();
      expect(status).toMatchObject({ status: "completed", error: null, started_at: expect.any(String) });
    });
    expect((await days(server))[0]!.agent_runs_count).toBe(after!.agent_runs_count);
  });

  test("copies of runs in a forked session were not run again; what was deleted was used all the same", async () => {
    await finished(server, { message: "to be copied", session_id: "fork", user_id: "ann" });
    const fork = () => send(server.url, "POST", "/agents/copilot/sessions/fork/fork", {});
    expect((await fork()).status).toBeLessThan(300);
    const before = (await refresh(server))[0]!;
    expect((await fork()).status).toBeLessThan(300);
    const [after] = await refresh(server);
    expect(after!.agent_runs_count).toBe(before.agent_runs_count);
    expect(after!.token_metrics).toEqual(before.token_metrics);
    await fetch(`${server.url}/sessions/fork`, { method: "DELETE" });
    expect((await refresh(server))[0]!.agent_runs_count).toBe(before.agent_runs_count);
  });

  test("what is deleted before it was counted counts, once, whoever counts meanwhile", async () => {
    const before = (await refresh(server))[0]!;
    const annBefore = (await days(server, "user_id=ann"))[0]!;
    const ids = ["gone-1", "gone-2", "gone-3", "gone-4", "forked"];
    const runs = [];
    for (const session_id of ids) {
      runs.push(await finished(server, { message: "soon gone", session_id, user_id: "ann" }));
    }
    runs.push(await finished(server, { message: "all gone", session_id: "fay-1", user_id: "fay" }));
    expect((await send(server.url, "POST", "/agents/copilot/sessions/forked/fork", {})).status).toBeLessThan(
      300,
    );
    const deletion = (path: string) => fetch(`${server.url}${path}`, { method: "DELETE" });
    const answers = [
      await deletion("/sessions/forked"),
      await deletion("/sessions/gone-1"),
      await deletion("/users/fay"),
    ];
    const others = ["gone-2", "gone-3", "gone-4"].map((id) => deletion(`/sessions/${id}`));
    answers.push(...(await Promise.all([refresh(server).then(() => new Response()), ...others])));
    for (const answer of answers) expect(answer.status).toBeLessThan(300);
    await refresh(server);
    const after = (await days(server))[0]!;
    const used = runs.reduce((sum, { metrics }) => sum + Number(metrics["total_tokens"]), 0);
    expect(after).toMatchObject({
      agent_runs_count: before.agent_runs_count + 6,
      agent_sessions_count: before.agent_sessions_count + 6,
      users_count: before.users_count + 1,
    });
    expect(after.token_metrics["total_tokens"]).toBe(before.token_metrics["total_tokens"]! + used);
    const [ann] = await days(server, "user_id=ann");
    expect(ann!.agent_runs_count).toBe(annBefore.agent_runs_count + 5);
    expect(await days(server, "user_id=fay")).toEqual([]);
  });

  test("a run counts in the day in which it started, in UTC, whenever its session began", async () => {
    const run = await finished(server, { message: "late", session_id: "a1", user_id: "ann" });
    const start = Date.parse("2026-01-31T23:59:59.999Z");
    await change(
      engine,
      location,
      `UPDATE runs SET started_at = ${start} WHERE run_id = '${run.run_id}'`,
      "runs",
    );
    const changed = await refresh(server);
    expect(changed.map(({ date }) => date)).toContain("2026-01-31T00:00:00Z");
    const january = await days(server, "starting_date=2026-01-01&ending_date=2026-01-31&user_id=ann");
    expect(january).toMatchObject([{ agent_runs_count: 1, agent_sessions_count: 1 }]);
    expect(await days(server, "starting_date=2026-02-01&ending_date=2026-02-28")).toEqual([]);
  });

  test("what a user used goes with the user, and stays part of the day", async () => {
    await finished(server, { message: "bye", session_id: "e1", user_id: "eve" });
    const before = (await refresh(server))[0]!;
    expect(await days(server, "user_id=eve")).toHaveLength(1);
    await fetch(`${server.url}/users/eve`, { method: "DELETE" });
    expect(await days(server, "user_id=eve")).toEqual([]);
    expect((await refresh(server))[0]!.agent_runs_count).toBe(before.agent_runs_count);
  });

  test("a turn that was cut off and made again stands apart, as its text tells", async () => {
    const run = await finished(server, { message: "once more", session_id: "cut", user_id: "cut" });
    const text = "x".repeat(41);
    const events = [
      { event: "RunStarted" },
      { event: "ModelRequestStarted" },
      { event: "RunContent", content: text },
      { event: "RunRecovered", attempt: 2, discard_from_index: 1 },
      { event: "ModelRequestStarted" },
      { event: "RunContent", content: "answer" },
    ];
    await change(
      engine,
      location,
      `UPDATE run_events SET events = '${JSON.stringify(events)}' WHERE run_id = '${run.run_id}'`,
      "run_events",
    );
    await change(engine, location, `UPDATE runs SET attempt = 2 WHERE run_id = '${run.run_id}'`, "runs");
    await refresh(server);
    const [day] = await days(server, "user_id=cut");
    expect(day!.token_metrics).toMatchObject({
      discarded_tokens: 11,
      output_tokens: run.metrics["output_tokens"],
    });
  });

  test("cost is told of a run, a session and a model by the price of each kind of token", async () => {
    const run = await finished(server, { message: "dear", session_id: "dear", user_id: "dea" });
    const { input_tokens, output_tokens, cost } = run.metrics as Record<string, number>;
    expect(cost).toBeCloseTo((input_tokens! * 2 + output_tokens! * 10) / 1e6, 9);
    const session = await fetch(`${server.url}/sessions/dear`);
    expect(((await session.json()) as { metrics: object }).metrics).toMatchObject({
      cost,
      unpriced_runs_count: 0,
    });
    await refresh(server);
    const [day] = await days(server, "user_id=dea");
    expect(day).toMatchObject({ cost, model_metrics: [{ cost }] });
  });

  test.each(["starting_date=yesterday", "ending_date=2026-13-01"])("%s is 422", async (search) => {
    const answer = await fetch(`${server.url}/metrics?${search}`);
    expect(answer.status).toBe(422);
    const { detail } = (await answer.json()) as { detail: { loc: string[] }[] };
    expect(detail[0]!.loc).toEqual(["query", search.split("=")[0]]);
  });
});

test("without a price a cost is unknown, and never 0", async () => {
  const server = await startServer({ os: { prices: { "other-model": { input: 1, output: 1 } } } });
  const run = await finished(server, { message: "hi", session_id: "s", user_id: "u" });
  expect(run.metrics["cost"]).toBeNull();
  const session = (await (await fetch(`${server.url}/sessions/s`)).json()) as { metrics: object };
  expect(session.metrics).toMatchObject({ cost: null, unpriced_runs_count: 1 });
  const [day] = await refresh(server);
  expect(day).toMatchObject({ cost: null, unpriced_runs_count: 1, model_metrics: [{ cost: null }] });
  await server.close();
});

test("what a cut-off turn had reported counts by its report, and what is not taken back does not count", () => {
  const log = [
    { event: "ModelRequestStarted" },
    { event: "RunContent", content: "kept" },
    { event: "ModelRequestCompleted", output_tokens: 5 },
    { event: "ModelRequestStarted" },
    { event: "ReasoningContentDelta", reasoning_content: "thinking" },
    { event: "RunContent", content: "an answer" },
    { event: "ModelRequestCompleted", output_tokens: 7 },
    { event: "RunRecovered", attempt: 2, discard_from_index: 3 },
    { event: "ModelRequestStarted" },
    { event: "RunContent", content: "12345" },
    { event: "RunRecovered", attempt: 3, discard_from_index: 8 },
  ];
  expect(discardedTokens(log.map((event, event_index) => ({ ...event, event_index })))).toBe(9);
});

describe("for Prometheus", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({
      db: engines[1]!.connect(await engines[1]!.createLocation()),
      agent: { tools: [add] },
    });
  });
  afterAll(() => server.close());

  const read = async (accept = "*/*") => {
    const answer = await fetch(`${server.url}/metrics/prometheus`, { headers: { accept } });
    expect(answer.status).toBe(200);
    return { type: answer.headers.get("content-type"), text: await answer.text() };
  };

  test("runs, tokens, durations, active runs and streams, queue, event loop, memory and pool are told", async () => {
    const run = await finished(server, {
      message: 'x [[tool=add {"a":1,"b":2}]]',
      user_id: "zoe@acme.com",
      session_id: "s-prom",
    });
    await finished(server, { message: "[[tool=made_up_by_the_model {}]]" });
    await finished(server, { message: "x [[error=400]]" });
    const stream = await server.run({ message: "go [[tokens=200]] [[delay=20]]" });
    const reader = stream.body!.getReader();
    await reader.read();
    await reader.read();
    const { type, text } = await read();
    expect(type).toContain("text/plain");
    const value = (series: string) =>
      Number(
        text
          .split("\n")
          .find((line) => line.startsWith(`${series} `))
          ?.slice(series.length + 1),
      );
    expect(value('agentos_runs_total{agent="copilot",status="completed"}')).toBe(2);
    expect(value('agentos_runs_total{agent="copilot",status="error"}')).toBe(1);
    expect(
      value('agentos_tokens_total{agent="copilot",model="gpt-5.5",provider="OpenAI",type="input"}'),
    ).toBeGreaterThan(Number(run.metrics["input_tokens"]));
    expect(value('agentos_run_duration_seconds_count{agent="copilot",status="completed"}')).toBe(2);
    expect(value('agentos_tool_duration_seconds_count{agent="copilot",tool="add",status="ok"}')).toBe(1);
    expect(value('agentos_tool_duration_seconds_count{agent="copilot",tool="other",status="error"}')).toBe(1);
    expect(value("agentos_runs_active")).toBe(1);
    expect(value("agentos_streams_active")).toBe(1);
    expect(value("agentos_queue_depth")).toBe(0);
    expect(value("agentos_database_up")).toBe(1);
    expect(value('agentos_database_pool_connections{state="max"}')).toBe(10);
    expect(value("nodejs_eventloop_lag_seconds")).toBeGreaterThanOrEqual(0);
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(1e6);
    // What callers choose is in no label.
    expect(text).not.toMatch(/zoe|s-prom|run_[0-9a-f]{8}-|made_up/);
    await reader.cancel();
    await vi.waitFor(async () => expect((await read()).text).toMatch(/^agentos_streams_active 0$/m));
  });

  test("whoever asks for OpenMetrics gets that", async () => {
    const { type, text } = await read("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    expect(type).toContain("application/openmetrics-text");
    expect(text.endsWith("# EOF\n")).toBe(true);
    expect(text).toMatch(/^# TYPE agentos_runs counter$/m);
    expect(text).toMatch(/^agentos_runs_total\{/m);
    // One who asks for the other format is not told other names by that.
    expect((await read()).text).toMatch(/^# TYPE agentos_runs_total counter\nagentos_runs_total\{/m);
  });
});
