import type { Database } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { send } from "../support/memories.ts";
import { add, boom } from "../support/run-tools.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { planOf, watchStatements } from "../support/statements.ts";
import { type FinishedRun, finished, flat, type Trace, Traces } from "../support/traces.ts";

const twoCalls = '[[tool=add {"a":1,"b":2}]] [[tool=boom {}]]';

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let traces: Traces;
  let db: Database;
  let location: string;

  beforeAll(async () => {
    location = await engine.createLocation();
    db = engine.connect(location);
    server = await startServer({ db, agent: { tools: [add, boom], enableAgenticMemory: true } });
    traces = new Traces(server.url);
  });
  afterAll(() => server.close());

  test("an answer has so many bytes of spans and no more; each run can be read whole by itself", async () => {
    const traceId = "5bf92f3577b34da6a3ce929d0e0e4736";
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) {
      const answer = await fetch(`${server.url}/agents/copilot/runs`, {
        method: "POST",
        headers: { "content-type": "application/json", traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
        body: JSON.stringify({ message: "needle [[say=ok]]", stream: false, user_id: "large" }),
      });
      ids.push(((await answer.json()) as FinishedRun).run_id);
      await traces.ofRun(ids[i]!);
    }
    const large = "x".repeat(3 * 1024 * 1024);
    const returning = engine.name === "sqlite" ? "RETURNING run_id" : "";
    await query(
      engine,
      location,
      `UPDATE traces SET spans = replace(spans, 'needle', '${large}') WHERE user_id = 'large' ${returning}`,
    );
    const sizes = (all: Trace[]) =>
      all.map(({ tree, spans_left_out: left = 0 }) => [flat(tree).length, left]);
    const page = await traces.search({ filter: { op: "EQ", key: "user_id", value: "large" }, limit: 100 });
    expect(page.meta).toMatchObject({ limit: 100, total_count: 4, total_pages: 1 });
    expect(page.data.map(({ run_id }) => run_id)).toEqual(ids.toReversed());
    expect(sizes(page.data)).toEqual([
      [2, 0],
      [2, 0],
      [0, 2],
      [0, 2],
    ]);
    expect(sizes([await traces.get(traceId)])).toEqual([[4, 4]]);
    const last = await traces.get(traceId, `run_id=${ids[3]}`);
    expect(sizes([last])).toEqual([[2, 0]]);
    const chat = last.tree[0]!.spans![0]!;
    expect(chat.input!.length).toBeGreaterThan(large.length);
    expect(await traces.get(traceId, `span_id=${chat.id}`)).toMatchObject({ id: chat.id, input: chat.input });
    const none = await fetch(`${server.url}/traces/${traceId}?span_id=00f067aa0ba902b7`);
    expect([none.status, await none.json()]).toMatchObject([404, { detail: "Span not found" }]);
  });

  test("a run with two tool calls is a tree of agent, model turns and tools, with what went in and out", async () => {
    const message = `sum ${twoCalls}`;
    const run = await finished(server, { message, session_id: "tree", user_id: "ada" });
    const trace = await traces.ofRun(run.run_id);
    expect(trace).toMatchObject({
      name: "invoke_agent copilot",
      status: "OK",
      input: message,
      output: run.content,
      run_id: run.run_id,
      session_id: "tree",
      user_id: "ada",
      agent_id: "copilot",
      total_spans: 5,
      error_count: 1,
    });
    const [root, ...others] = trace.tree;
    expect(others).toEqual([]);
    expect(root).toMatchObject({ type: "AGENT", status: "OK", metadata: { run_status: "completed" } });
    expect(root!.metadata["total_input_tokens"]).toBe(run.metrics["input_tokens"]);
    const [first, sum, fails, last] = root!.spans!;
    expect(first).toMatchObject({ type: "LLM", name: "chat gpt-5.5" });
    expect(JSON.parse(first!.input!)).toMatchObject([
      { role: "system" },
      { role: "user", parts: [{ type: "text", content: message }] },
    ]);
    expect(JSON.parse(first!.output!)).toMatchObject([
      { role: "assistant", parts: [{ type: "tool_call", name: "add" }, { name: "boom" }] },
    ]);
    expect(sum).toMatchObject({ type: "TOOL", name: "add", input: '{"a":1,"b":2}', output: "3" });
    expect(fails).toMatchObject({ type: "TOOL", name: "boom", status: "ERROR", error: "the boom" });
    expect(last).toMatchObject({ type: "LLM", metadata: { finish_reasons: ["stop"] } });
    expect(JSON.parse(last!.input!)).toHaveLength(5);
    const tokens = [first, last].map((turn) => Number(turn!.metadata["input_tokens"]));
    expect(tokens[0]! + tokens[1]!).toBe(run.metrics["input_tokens"]);
    for (const node of root!.spans!) {
      expect(node.start_time >= root!.start_time && node.end_time <= root!.end_time).toBe(true);
      expect(Number.parseFloat(node.duration)).toBeGreaterThanOrEqual(0);
    }
  });

  test("one span is answered by its id, with all its attributes and the ids of its run", async () => {
    const run = await finished(server, { message: "hello", session_id: "one", user_id: "ada" });
    const { trace_id, tree } = await traces.ofRun(run.run_id);
    const answer = await fetch(`${server.url}/traces/${trace_id}?span_id=${tree[0]!.spans![0]!.id}`);
    expect(await answer.json()).toMatchObject({
      type: "LLM",
      kind: "CLIENT",
      parent_span_id: tree[0]!.id,
      metadata: { run_id: run.run_id, session_id: "one", user_id: "ada", agent_id: "copilot" },
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "OpenAI",
        "gen_ai.request.model": "gpt-5.5",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": expect.any(Number),
      },
    });
    const unknown = await fetch(`${server.url}/traces/${trace_id}?span_id=0000000000000000`);
    expect(unknown.status).toBe(404);
    expect((await fetch(`${server.url}/traces/${trace_id}?run_id=run_other`)).status).toBe(404);
  });

  test("a model that was asked again shows each failure and the wait; one that failed is an error with its reason", async () => {
    const again = await finished(server, { message: `x${Math.random()} [[errors=1:500]]` });
    const { tree } = await traces.ofRun(again.run_id);
    const turn = tree[0]!.spans![0]!;
    const span = await fetch(
      `${server.url}/traces/${(await traces.ofRun(again.run_id)).trace_id}?span_id=${turn.id}`,
    );
    const { events } = (await span.json()) as { events: { name: string; attributes: object }[] };
    expect(events).toMatchObject([{ name: "retry", attributes: { "error.type": "model_error" } }]);

    const failed = await finished(server, { message: "x [[error=400]]" });
    const trace = await traces.ofRun(failed.run_id);
    expect(trace).toMatchObject({ status: "ERROR", error_count: 2, output: failed.content });
    expect(flat(trace.tree).map(({ type, status, error }) => [type, status, error])).toEqual([
      ["AGENT", "ERROR", failed.content],
      ["LLM", "ERROR", failed.content],
    ]);
  });

  test("an update of memory stands below the tool that made it", async () => {
    const call = '[[tool=update_user_memory {"operations":[{"op":"add","memory":"Likes tea"}]}]]';
    const run = await finished(server, { message: `note ${call}`, user_id: "bea" });
    const tool = flat((await traces.ofRun(run.run_id)).tree).find(({ type }) => type === "TOOL");
    expect(tool).toMatchObject({
      name: "update_user_memory",
      spans: [{ type: "MEMORY", name: "update_memory", metadata: { changes: 1 } }],
    });
  });

  test("what is asked of the model after a run stands in its trace, with what it used, also where it fails", async () => {
    const { url, ...other } = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { autoNameSessions: true, enableSessionSummaries: true },
    });
    const run = async (message: string) => {
      const { run_id } = await finished({ url, ...other }, { message, session_id: message });
      const followed = new Traces(url);
      await vi.waitUntil(async () => (await followed.ofRun(run_id)).total_spans === 6);
      return (await followed.ofRun(run_id)).tree[0]!.spans!;
    };
    const [, ...after] = await run('the word [[say={"summary":"plugh","topics":[]}]]');
    expect(after.map(({ name, status }) => [name, status])).toEqual([
      ["naming_the_session", "OK"],
      ["summing_up_the_session", "OK"],
    ]);
    for (const { spans = [] } of after) {
      const usage = { input_tokens: expect.any(Number), output_tokens: expect.any(Number) };
      expect(spans).toMatchObject([
        { type: "LLM", name: "chat gpt-5.5", metadata: { ...usage, finish_reasons: ["stop"] } },
      ]);
      expect(JSON.parse(spans[0]!.input!)).toMatchObject([
        { role: "system" },
        { role: "user", parts: [{ content: expect.stringContaining("the word") }] },
      ]);
      expect(JSON.parse(spans[0]!.output!)).toMatchObject([
        { role: "assistant", parts: [{ content: expect.stringContaining("plugh") }] },
      ]);
    }
    const outcomes = async (message: string) =>
      (await run(message))
        .slice(1)
        .map(({ status, spans = [] }) => [status, ...spans.map((chat) => chat.status)]);
    expect(await outcomes("[[say=no object]]")).toEqual([
      ["OK", "OK"],
      ["ERROR", "OK"],
    ]);
    // The run asks again, what follows it does not.
    expect(await outcomes("[[errors=1:500]]")).toEqual([
      ["ERROR", "ERROR"],
      ["ERROR", "ERROR"],
    ]);
    await other.close();
  });

  test("a streamed run that is cancelled is no error, and says so", async () => {
    const answer = await server.run({ message: "go [[tokens=500]] [[delay=20]]", session_id: "cancelled" });
    const reader = answer.body!.getReader();
    const text =
      new TextDecoder().decode((await reader.read()).value) +
      new TextDecoder().decode((await reader.read()).value);
    const runId = /run_[0-9a-f-]{36}/.exec(text)![0];
    await fetch(`${server.url}/agents/copilot/runs/${runId}/cancel`, { method: "POST" });
    while (!(await reader.read()).done);
    const trace = await traces.ofRun(runId);
    expect(trace).toMatchObject({ status: "OK", tree: [{ metadata: { run_status: "cancelled" } }] });
  });

  test("a list is filtered by run, session, user, agent, status and time, the newest first", async () => {
    const runs: FinishedRun[] = [];
    for (const [session_id, user_id, message] of [
      ["l1", "lia", "one"],
      ["l1", "lia", "two [[error=400]]"],
      ["l2", "lia", "three"],
    ] as const) {
      runs.push(await finished(server, { session_id, user_id, message }));
    }
    const all = (await traces.until("user_id=lia", 3)).data;
    expect(all.map(({ run_id }) => run_id)).toEqual(runs.map(({ run_id }) => run_id).reverse());
    const ids = async (query: string) =>
      (await traces.list(`user_id=lia&${query}`)).data.map(({ input }) => input);
    expect(await ids("session_id=l1")).toEqual(["two [[error=400]]", "one"]);
    expect(await ids(`run_id=${runs[2]!.run_id}`)).toEqual(["three"]);
    expect(await ids("status=error")).toEqual(["two [[error=400]]"]);
    expect(await ids("status=OK")).toEqual(["three", "one"]);
    expect(await ids("agent_id=copilot")).toHaveLength(3);
    expect(await ids("agent_id=other")).toEqual([]);
    expect(await ids("team_id=any")).toEqual([]);
    expect(await ids(`start_time=${all[1]!.start_time}`)).toHaveLength(2);
    expect(await ids(`end_time=${all[1]!.end_time}`)).toHaveLength(2);
    expect(await ids("limit=1&page=2")).toEqual(["two [[error=400]]"]);
    expect((await traces.list("user_id=lia&limit=2")).meta).toMatchObject({ total_pages: 2, total_count: 3 });
    const stats = await fetch(`${server.url}/trace_session_stats?user_id=lia`);
    expect(await stats.json()).toMatchObject({
      data: [
        { session_id: "l2", total_traces: 1, user_id: "lia", agent_id: "copilot" },
        { session_id: "l1", total_traces: 2 },
      ],
      meta: { total_count: 2 },
    });
  });

  test("a search takes the filter language: every operator, and, or, not", async () => {
    for (const [message, user_id] of [
      ["Alpha", "sue"],
      ["Beta [[error=400]]", "sue"],
      ["gamma", "tom"],
    ]) {
      await finished(server, { message, session_id: "find", ...(user_id && { user_id: `${user_id}@x` }) });
    }
    // A session has one owner: the third run was refused, and is of another session.
    await finished(server, { message: "gamma", session_id: "find-tom", user_id: "tom@x" });
    await traces.until("session_id=find", 2);
    await traces.until("session_id=find-tom", 1);
    const found = async (filter: object) =>
      (
        await traces.search({
          filter: {
            op: "AND",
            conditions: [{ op: "STARTSWITH", key: "session_id", value: "find" }, filter],
          },
        })
      ).data
        .map(({ input }) => input[0])
        .toSorted()
        .join("");
    const [beta] = (await traces.list("session_id=find&status=ERROR")).data;
    const is = (op: string, key: string, value: unknown) => ({ op, key, value });
    expect(await found(is("EQ", "status", "error"))).toBe("B");
    expect(await found(is("NEQ", "user_id", "sue@x"))).toBe("g");
    expect(await found(is("CONTAINS", "user_id", "OM@"))).toBe("g");
    expect(await found(is("CONTAINS", "user_id", "%"))).toBe("");
    expect(await found(is("STARTSWITH", "user_id", "SUE"))).toBe("");
    expect(await found(is("STARTSWITH", "name", "invoke_agent c"))).toBe("ABg");
    expect(await found(is("GTE", "duration_ms", 0))).toBe("ABg");
    expect(await found(is("LT", "duration_ms", 0))).toBe("");
    expect(await found(is("GT", "start_time", beta!.start_time))).toBe("g");
    expect(await found(is("LTE", "start_time", beta!.start_time))).toBe("AB");
    expect(await found(is("EQ", "team_id", "x"))).toBe("");
    expect(await found({ op: "NOT", condition: is("EQ", "team_id", "x") })).toBe("ABg");
    expect(await found({ op: "IN", key: "user_id", values: ["tom@x", "nobody"] })).toBe("g");
    expect(await found({ op: "IN", key: "user_id", values: [] })).toBe("");
    const both = [is("EQ", "status", "ERROR"), is("EQ", "user_id", "tom@x")];
    expect(await found({ op: "OR", conditions: both })).toBe("Bg");
    expect(await found({ op: "NOT", condition: { op: "OR", conditions: both } })).toBe("A");
    const sessions = await traces.search<{ data: { session_id: string; total_traces: number }[] }>({
      filter: is("STARTSWITH", "session_id", "find"),
      group_by: "session",
    });
    expect(sessions.data.map(({ session_id, total_traces }) => [session_id, total_traces])).toEqual([
      ["find-tom", 1],
      ["find", 2],
    ]);
  });

  const nested = (depth: number): object =>
    depth === 0 ? { op: "EQ", key: "status", value: "OK" } : { op: "NOT", condition: nested(depth - 1) };

  test.each([
    ["Unknown filter field: shoe_size", { op: "EQ", key: "shoe_size", value: 1 }],
    ["Unknown filter operator: LIKE", { op: "LIKE", key: "status", value: "x" }],
    ["user_id takes EQ", { op: "GT", key: "user_id", value: "x" }],
    ["compared with a text", { op: "EQ", key: "user_id", value: 1 }],
    ["compared with a number", { op: "EQ", key: "duration_ms", value: "1" }],
    ["compared with a time", { op: "GT", key: "start_time", value: "soon" }],
    ["needs conditions", { op: "AND", conditions: [] }],
    ["needs values", { op: "IN", key: "user_id", value: "x" }],
    ["must be an object", { op: "NOT" }],
    ["Unknown filter field", { op: "EQ", key: "__proto__", value: "x" }],
    ["nested deeper", nested(10)],
    ["more than 100 comparisons", { op: "OR", conditions: Array.from({ length: 101 }, () => nested(0)) }],
  ])("a filter that makes no sense is 400 and says why: %s", async (reason, filter) => {
    const answer = await send(server.url, "POST", "/traces/search", { filter });
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { detail: string }).detail).toContain(reason);
  });

  test("a handle for a user sees the traces of that user's runs alone", async () => {
    const own = await finished(server, { message: "mine", user_id: "own", session_id: "own" });
    const other = await finished(server, { message: "theirs", user_id: "other", session_id: "other" });
    const [a, b] = [await traces.ofRun(own.run_id), await traces.ofRun(other.run_id)];
    const store = db.storeFor({ userId: "own", scopes: [], unrestricted: false });
    const part = { limit: 100, offset: 0 };
    expect((await store.traces.list({}, part)).traces.map(({ runId }) => runId)).toEqual([own.run_id]);
    expect((await store.traces.list({ userId: "other" }, part)).traces).toEqual([]);
    const everyone = { op: "NEQ", key: "user_id", value: "own" } as const;
    expect((await store.traces.listWithSpans({}, part, everyone)).traces).toEqual([]);
    expect((await store.traces.sessions({}, part)).sessions).toHaveLength(1);
    expect(await store.traces.get(a.trace_id)).toHaveLength(1);
    expect(await store.traces.get(b.trace_id)).toEqual([]);
    const session = db.storeFor({ userId: "own", sessionId: "x", scopes: [], unrestricted: false });
    expect(await session.traces.get(a.trace_id)).toEqual([]);
    const nobody = db.storeFor({ scopes: [], unrestricted: false });
    expect((await nobody.traces.list({}, part)).traces).toEqual([]);
  });

  test("traces go with their session and with their user, also those that are just being written", async () => {
    const run = await finished(server, { message: "gone", session_id: "gone", user_id: "gus" });
    await traces.ofRun(run.run_id);
    await fetch(`${server.url}/sessions/gone`, { method: "DELETE" });
    expect((await traces.list("user_id=gus")).data).toEqual([]);
    const late = await finished(server, { message: "gone", session_id: "gone2", user_id: "gus" });
    await fetch(`${server.url}/users/gus`, { method: "DELETE" });
    // What is written behind it shows that its turn has passed.
    await traces.ofRun((await finished(server, { message: "next" })).run_id);
    expect((await traces.list(`run_id=${late.run_id}`)).data).toEqual([]);
  });

  test("texts that no database takes as they are do no harm", async () => {
    const message = "nul \u0000 and half \ud800 a pair";
    const run = await finished(server, { message, session_id: "odd" });
    expect((await traces.ofRun(run.run_id)).input).toBe(message);
  });
});

describe.each(engines)("in a large database on $name", (engine) => {
  test("what is asked for often looks at a part of it: sessions of traces, and the runs that wait", async () => {
    const location = await engine.createLocation();
    const server = await startServer({ db: engine.connect(location) });
    await finished(server, { message: "opens it", session_id: "first" });
    const numbers =
      "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 60000) SELECT n FROM s) AS s";
    await query(
      engine,
      location,
      `INSERT INTO runs (run_id, session_id, agent_id, status, attempt, input, metadata, model, model_provider, created_at, updated_at)
       SELECT 'run_' || n, 's' || (n % 3000), 'copilot', 'completed', 1, '{}', '{}', 'm', 'p', n, n FROM ${numbers}`,
    );
    await query(
      engine,
      location,
      `INSERT INTO traces (run_id, trace_id, session_id, agent_id, name, status, start_time, end_time, duration_ms, total_spans, error_count, created_at, input, output, spans)
       SELECT 'run_' || n, 't' || n, 's' || (n % 3000), 'copilot', 'x', 'OK', n, n, 1, 0, 0, n, '""', '""', '[]' FROM ${numbers}`,
    );
    if (engine.name === "postgres") await query(engine, location, "ANALYZE");
    const statements = watchStatements(engine);
    const answer = await fetch(`${server.url}/trace_session_stats?limit=2&end_time=1970-01-01T00:00:50.000Z`);
    expect(await answer.json()).toMatchObject({
      data: [
        { session_id: "s2000", total_traces: 17, last_trace_at: "1970-01-01T00:00:50.000Z" },
        { session_id: "s1999", total_traces: 17, first_trace_at: "1970-01-01T00:00:01.999Z" },
      ],
      meta: { total_count: 3000, total_is_capped: true },
    });
    expect((await fetch(`${server.url}/trace_session_stats?limit=2`)).status).toBe(200);
    expect((await fetch(`${server.url}/metrics/prometheus`)).status).toBe(200);
    const asked = statements.filter(({ text }) => /^select/i.test(text) && /"traces"|'pending'/.test(text));
    vi.restoreAllMocks();
    expect(asked.length).toBeGreaterThanOrEqual(5);
    for (const statement of asked) {
      const plan = await planOf(engine, location, statement);
      expect(plan, statement.text).not.toMatch(
        /Seq Scan|SCAN (?:traces|runs)(?! USING INDEX (?:traces_by_start|runs_of_busy))/,
      );
    }
    await server.close();
  }, 60_000);
});
