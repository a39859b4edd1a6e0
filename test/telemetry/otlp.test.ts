import { SpanStatusCode, trace } from "@opentelemetry/api";
import { tool } from "agentos-ts";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { logOf } from "../support/log-of.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { add } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { finished, flat, Traces } from "../support/traces.ts";

/** A tool that traces what it does by OpenTelemetry's API, as any library would. */
const lookUp = tool({
  name: "look_up",
  description: "Looks something up.",
  inputSchema: z.object({ what: z.string() }),
  execute: ({ what }) =>
    trace.getTracer("my-tools").startActiveSpan("lookup", async (span) => {
      span.setAttributes({ what, "http.request.header.authorization": "Bearer secret" });
      span.addEvent("asked", { "http.request.header.cookie": "secret cookie", to: "tea.example" });
      span.addLink({
        context: span.spanContext(),
        attributes: { "http.response.header.set-cookie": "secret link" },
      });
      await Promise.resolve();
      trace.getTracer("my-tools").startActiveSpan("query", (inner) => {
        inner.setStatus({ code: SpanStatusCode.ERROR, message: "no rows" });
        inner.end();
      });
      span.end();
      return "found";
    }),
});

let receiver: OtlpReceiver;
let server: TestServer;

beforeEach(async () => {
  receiver = await startOtlpReceiver();
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url);
  vi.stubEnv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=acme");
  server = await startServer({ agent: { tools: [add, lookUp] } });
});
afterEach(async () => {
  await server.close();
  vi.unstubAllEnvs();
  await receiver.close();
});

const message = 'go [[tool=add {"a":1,"b":2}]] [[tool=look_up {"what":"tea"}]]';

test("an OTLP endpoint gets the spans of a run as the conventions have them, with the caller's span above", async () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const answer = await fetch(`${server.url}/agents/copilot/runs`, {
    method: "POST",
    headers: { "content-type": "application/json", traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    body: JSON.stringify({ message, stream: false, session_id: "s1", user_id: "ada" }),
  });
  const run = (await answer.json()) as { run_id: string };
  const spans = await receiver.received(7);
  expect(receiver.headers[0]).toMatchObject({ "x-team": "acme" });
  expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  const root = spans.find(({ name }) => name === "invoke_agent copilot")!;
  expect(root).toMatchObject({
    parentSpanId: "00f067aa0ba902b7",
    kind: 1,
    status: { code: 0 },
    scope: "agentos-ts",
    resource: { "service.name": "agentos" },
    attributes: {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.provider.name": "OpenAI",
      "gen_ai.agent.id": "copilot",
      "gen_ai.conversation.id": "s1",
      "gen_ai.request.model": "gpt-5.5",
      "gen_ai.usage.input_tokens": expect.any(Number),
      "gen_ai.usage.output_tokens": expect.any(Number),
      "user.id": "ada",
      "agentos.run.id": run.run_id,
    },
  });
  const chats = spans.filter(({ name }) => name === "chat gpt-5.5");
  expect(chats).toHaveLength(2);
  for (const chat of chats) {
    expect(chat).toMatchObject({
      parentSpanId: root.spanId,
      kind: 3,
      attributes: { "gen_ai.operation.name": "chat", "gen_ai.output.messages": expect.any(String) },
    });
    expect(chat.end > chat.start).toBe(true);
  }
  expect(spans.find(({ name }) => name === "execute_tool add")).toMatchObject({
    parentSpanId: root.spanId,
    attributes: {
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": "add",
      "gen_ai.tool.type": "function",
      "gen_ai.tool.call.id": expect.any(String),
      "gen_ai.tool.call.arguments": '{"a":1,"b":2}',
      "gen_ai.tool.call.result": "3",
    },
  });
  const execute = spans.find(({ name }) => name === "execute_tool look_up")!;
  const own = spans.find(({ name }) => name === "lookup")!;
  expect(own).toMatchObject({ parentSpanId: execute.spanId, scope: "my-tools", attributes: { what: "tea" } });
  expect(spans.find(({ name }) => name === "query")).toMatchObject({
    parentSpanId: own.spanId,
    status: { code: 2, message: "no rows" },
  });

  // Secrets go nowhere: neither to the endpoint nor into the database.
  expect(own.attributes["http.request.header.authorization"]).toBe("[not recorded]");
  expect(receiver.text()).toContain("tea.example");
  expect(receiver.text()).not.toMatch(/Bearer secret|secret cookie|secret link/);

  // The ids in our own trace are those of the run, although a span of the caller is above it.
  const traces = new Traces(server.url);
  const stored = await traces.ofRun(run.run_id);
  expect(stored).toMatchObject({ trace_id: traceId, session_id: "s1", user_id: "ada", error_count: 1 });
  const tree = flat(stored.tree);
  expect(tree.find(({ name }) => name === "look_up")?.spans).toMatchObject([
    { name: "lookup", type: "SPAN", metadata: { what: "tea" }, spans: [{ name: "query", status: "ERROR" }] },
  ]);
  const lookup = await (await fetch(`${server.url}/traces/${traceId}?span_id=${own.spanId}`)).text();
  expect(lookup).toContain("tea.example");
  expect(JSON.stringify(tree) + lookup).not.toMatch(/Bearer secret|secret cookie|secret link/);
});

test("runs of one caller's trace stand in it together, and each can be read by itself", async () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const ids: string[] = [];
  for (const text of ["one", "two"]) {
    const answer = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent: `00-${traceId}-b7ad6b7169203331-00` },
      body: JSON.stringify({ message: text, stream: false }),
    });
    ids.push(((await answer.json()) as { run_id: string }).run_id);
  }
  const traces = new Traces(server.url);
  for (const id of ids) await traces.ofRun(id);
  const both = await traces.get(traceId);
  expect(both.tree.map(({ input }) => input)).toEqual(["one", "two"]);
  expect(both).toMatchObject({ run_id: ids[0], total_spans: 4 });
  expect((await traces.get(traceId, `run_id=${ids[1]}`)).tree.map(({ input }) => input)).toEqual(["two"]);
  // Its flag says that the caller does not sample it: ours is whole, and nothing is sent on.
  await server.os.close();
  expect(receiver.spans).toEqual([]);
});

test.each(["nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"])(
  "a traceparent that is none is passed over: %s",
  async (traceparent) => {
    const answer = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent },
      body: JSON.stringify({ message: "hi", stream: false }),
    });
    const { run_id } = (await answer.json()) as { run_id: string };
    const { trace_id } = await new Traces(server.url).ofRun(run_id);
    expect(`run_${trace_id}`).toBe(run_id.replaceAll("-", ""));
  },
);

test("what is buffered is sent and stored when the server stops", async () => {
  const run = await finished(server, { message: "last words" });
  await server.os.close();
  expect(receiver.spans.map(({ name }) => name).toSorted()).toEqual(["chat gpt-5.5", "invoke_agent copilot"]);
  expect(receiver.spans[0]!.attributes["agentos.run.id"]).toBe(run.run_id);
});

test("an endpoint that takes no spans harms no run, and what it did not take is counted", async () => {
  receiver.status = 400;
  const run = await finished(server, { message: "hi" });
  expect(run.status).toBe("completed");
  const dropped = async () => {
    const text = await (await fetch(`${server.url}/metrics/prometheus`)).text();
    return /^agentos_spans_dropped_total (\d+)$/m.exec(text)?.[1];
  };
  await vi.waitFor(async () => expect(await dropped()).toBe("2"), { timeout: 10_000, interval: 50 });
});

describe("an endpoint that does not answer", () => {
  const { lines, logger } = logOf("warn");
  let slow: TestServer;

  beforeEach(async () => {
    lines.length = 0;
    receiver.hold();
    vi.stubEnv("OTEL_BSP_MAX_QUEUE_SIZE", "4");
    slow = await startServer({ os: { logger } });
    for (let i = 0; i < 5; i++) await finished(slow, { message: `${i}` });
  });
  afterEach(() => slow.close());

  const told = () => lines.filter(({ msg }) => msg === "the OTLP endpoint did not take spans");

  test("is sent what there is room for, and the rest is counted and logged", async () => {
    await vi.waitFor(
      async () => {
        const text = await (await fetch(`${slow.url}/metrics/prometheus`)).text();
        expect(text).toMatch(/^agentos_spans_dropped_total 6$/m);
      },
      { timeout: 5000, interval: 50 },
    );
    expect(told()).toHaveLength(1);
    receiver.resume();
    await receiver.received(4);
    await slow.os.close();
    expect(receiver.spans).toHaveLength(4);
    expect(told().at(-1)).toMatchObject({ spans_in_all: 6 });
  });

  test("holds up a stop for five seconds at most, and what it had not taken is counted and logged", async () => {
    const start = performance.now();
    await slow.os.close();
    expect(performance.now() - start).toBeLessThan(8000);
    expect(told().at(-1)).toMatchObject({ spans_in_all: 10 });
  });
});

test("agents that call agents are one trace, each run below the tool that asked for it", async () => {
  const expert = server.agent;
  const inner = await startServer({
    agent: {
      tools: [
        tool({
          name: "ask_expert",
          description: "Asks another agent.",
          inputSchema: z.object({ question: z.string() }),
          execute: async ({ question }) => (await expert.run(question)).content,
        }),
      ],
    },
  });
  const run = await finished(inner, { message: 'x [[tool=ask_expert {"question":"why"}]]' });
  const outer = await new Traces(inner.url).ofRun(run.run_id);
  const { data } = await new Traces(server.url).until("", 1);
  expect(data[0]!.trace_id).toBe(outer.trace_id);
  const asked = flat(outer.tree).find(({ name }) => name === "ask_expert")!;
  const spans = await receiver.received(6);
  const nested = spans.find(
    ({ name, attributes }) =>
      name === "invoke_agent copilot" && attributes["agentos.run.id"] === data[0]!.run_id,
  );
  expect(nested?.parentSpanId).toBe(asked.id);
  await inner.close();
});
