import type { Attributes } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { ownScope } from "./stored-span.ts";

/** Headers that hold secrets. Instrumentations of HTTP can be told to record headers. */
const secretHeader =
  /^http\.(?:request|response)\.header\.(?:authorization|proxy[-_]authorization|cookie|set[-_]cookie|x[-_]api[-_]key|api[-_]key)$/i;

/** A span as it may leave the run, wherever it goes: secret headers are taken out of it, its events and its links. */
export function withoutSecrets(span: ReadableSpan): ReadableSpan {
  // Our own have no headers.
  if (span.instrumentationScope.name === ownScope || !hasSecrets(span)) return span;
  const { parentSpanContext } = span;
  return {
    name: span.name,
    kind: span.kind,
    spanContext: () => span.spanContext(),
    ...(parentSpanContext && { parentSpanContext }),
    startTime: span.startTime,
    endTime: span.endTime,
    status: span.status,
    attributes: clean(span.attributes),
    links: span.links.map(cleaned),
    events: span.events.map(cleaned),
    duration: span.duration,
    ended: span.ended,
    resource: span.resource,
    instrumentationScope: span.instrumentationScope,
    droppedAttributesCount: span.droppedAttributesCount,
    droppedEventsCount: span.droppedEventsCount,
    droppedLinksCount: span.droppedLinksCount,
  };
}

function hasSecrets({ attributes, events, links }: ReadableSpan): boolean {
  return [{ attributes }, ...events, ...links].some(({ attributes: some = {} }) =>
    Object.keys(some).some((name) => secretHeader.test(name)),
  );
}

function cleaned<T extends { attributes?: Attributes }>(part: T): T {
  return part.attributes ? { ...part, attributes: clean(part.attributes) } : part;
}

function clean(attributes: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      name,
      secretHeader.test(name) ? "[not recorded]" : value,
    ]),
  );
}
