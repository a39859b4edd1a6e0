import { type HrTime, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { StoredSpan } from "../db/traces.ts";

const kinds = {
  [SpanKind.INTERNAL]: "INTERNAL",
  [SpanKind.SERVER]: "SERVER",
  [SpanKind.CLIENT]: "CLIENT",
  [SpanKind.PRODUCER]: "PRODUCER",
  [SpanKind.CONSUMER]: "CONSUMER",
} as const;

/** The name of our own tracer. */
export const ownScope = "agentos-ts";

/** A span as it is stored. */
export function storedSpan(span: ReadableSpan): StoredSpan {
  const { status, events, links, parentSpanContext } = span;
  return {
    span_id: span.spanContext().spanId,
    ...(parentSpanContext && { parent_span_id: parentSpanContext.spanId }),
    name: span.name,
    kind: kinds[span.kind],
    status: status.code === SpanStatusCode.ERROR ? "ERROR" : "OK",
    ...(status.message && { status_message: status.message }),
    start: milliseconds(span.startTime),
    end: milliseconds(span.endTime),
    attributes: span.attributes,
    ...(events.length > 0 && {
      events: events.map((event) => ({
        name: event.name,
        time: milliseconds(event.time),
        ...(event.attributes && { attributes: event.attributes }),
      })),
    }),
    ...(links.length > 0 && {
      links: links.map((link) => ({ trace_id: link.context.traceId, span_id: link.context.spanId })),
    }),
    scope: span.instrumentationScope.name,
  };
}

/** About how many bytes a span takes. */
export function sizeOf(span: ReadableSpan): number {
  let size = 300;
  for (const value of Object.values(span.attributes)) size += typeof value === "string" ? value.length : 16;
  return size + span.events.length * 200;
}

/** An exact time as Unix milliseconds, to the microsecond. */
export function milliseconds([seconds, nanoseconds]: HrTime): number {
  return seconds * 1000 + Math.round(nanoseconds / 1000) / 1000;
}
