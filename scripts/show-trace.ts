/**
 * Does a run with two tool calls against the stand-in for the model, has its trace sent to an OTLP endpoint of its own, and
 * prints what that received: the listing of docs/observability.md.
 *
 *   node --conditions=agentos-source scripts/show-trace.ts
 */
import { trace } from "@opentelemetry/api";
import { Agent, AgentOS, OpenAIResponses, tool } from "agentos-ts";
import * as z from "zod";
import { startMockModel } from "../test/support/mock-model.ts";
import { type ReceivedSpan, startOtlpReceiver } from "../test/support/otlp-receiver.ts";

const receiver = await startOtlpReceiver();
process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url;
const model = await startMockModel();

const weather = tool({
  name: "weather",
  description: "Tells the weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) =>
    trace.getTracer("weather").startActiveSpan("lookup", (span) => {
      span.setAttribute("city", city).end();
      return "sunny";
    }),
});
const add = tool({
  name: "add",
  description: "Adds two numbers.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  execute: ({ a, b }) => String(a + b),
});

const agentOS = new AgentOS({
  agents: [
    new Agent({
      id: "copilot",
      model: new OpenAIResponses({ id: "gpt-5.5", apiKey: "none", baseUrl: model.url }),
      tools: [weather, add],
    }),
  ],
  prices: { "gpt-5.5": { input: 1.25, output: 10 } },
  logLevel: "warn",
});
const body = {
  message: 'Weather? Sum? [[tool=weather {"city":"Rome"}]] [[tool=add {"a":1,"b":2}]] [[ttft=20]]',
  session_id: "thread-42",
  user_id: "sarah@acme.com",
  stream: false,
};
// The database is opened, so that its opening is no part of the trace.
await agentOS.getApp().request("/health?ready=true");
await agentOS.getApp().request("/agents/copilot/runs", {
  method: "POST",
  headers: {
    "content-type": "application/json",
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  },
  body: JSON.stringify(body),
});
await agentOS.close();
await model.close();

const [first = 0n] = receiver.spans.map(({ start }) => start).sort((a, b) => Number(a - b));
show("00f067aa0ba902b7", "");
await receiver.close();

function show(parent: string, indent: string): void {
  const below = receiver.spans.filter(({ parentSpanId }) => parentSpanId === parent);
  for (const span of below.sort((a, b) => Number(a.start - b.start))) {
    console.log(`${indent}${span.name}  ${describe(span)}`);
    for (const [name, value] of Object.entries(span.attributes)) {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      console.log(`${indent}    ${name} = ${text.length > 90 ? `${text.slice(0, 90)}…` : text}`);
    }
    show(span.spanId, `${indent}  `);
  }
}

function describe({ start, end, kind, status, spanId, parentSpanId, scope }: ReceivedSpan): string {
  const ms = (time: bigint) => (Number(time) / 1e6).toFixed(1);
  const kinds = ["", "internal", "server", "client", "producer", "consumer"];
  const failed = status.code === 2 ? `, error: ${status.message}` : "";
  return `(${kinds[kind]}, ${scope}; ${spanId} below ${parentSpanId}; at ${ms(start - first)} for ${ms(end - start)} ms${failed})`;
}
