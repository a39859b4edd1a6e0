import { context, type Span, type SpanContext, type Tracer, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { parseTraceParent } from "@opentelemetry/core";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  createAlwaysRecordSampler,
  type IdGenerator,
  ParentBasedSampler,
  RandomIdGenerator,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { AgentSpanProcessor } from "./span-sink.ts";
import { ownScope } from "./stored-span.ts";

/** Random ids, but for a trace whose id is decided already. */
class Ids implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  /** The id of the next trace. */
  next: string | undefined;

  generateTraceId(): string {
    const id = this.next ?? this.#random.generateTraceId();
    this.next = undefined;
    return id;
  }

  generateSpanId(): string {
    return this.#random.generateSpanId();
  }
}

const ids = new Ids();
let tracer: Tracer | undefined;

/**
 * The tracer of this package. With it, OpenTelemetry's API works in this process: what a tool traces by it gets into the
 * run's trace. What the program has set up itself before is left as it is.
 */
export function ownTracer(): Tracer {
  if (tracer) return tracer;
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "agentos" }).merge(
      detectResources({ detectors: [envDetector] }),
    ),
    // Our own traces are whole. What the caller did not sample is not sent on.
    sampler: createAlwaysRecordSampler(new ParentBasedSampler({ root: new AlwaysOnSampler() })),
    idGenerator: ids,
    spanProcessors: [new AgentSpanProcessor({ ours: true })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  tracer = provider.getTracer(ownScope);
  return tracer;
}

/** Starts the first span of a trace with a given id. */
export function startTrace(traceId: string, start: () => Span): Span {
  ids.next = traceId;
  try {
    return start();
  } finally {
    ids.next = undefined;
  }
}

/** The span in which the caller's code runs, as W3C's `traceparent` header has it; undefined where there is none. */
export function activeTraceparent(): string | undefined {
  const active = trace.getSpan(context.active())?.spanContext();
  if (!active || !trace.isSpanContextValid(active)) return undefined;
  return `00-${active.traceId}-${active.spanId}-${active.traceFlags.toString(16).padStart(2, "0")}`;
}

/** The span that a `traceparent` header names; undefined where it names none. */
export function remoteSpan(traceparent: string | undefined): SpanContext | undefined {
  const parent = traceparent === undefined ? null : parseTraceParent(traceparent);
  return parent ? { ...parent, isRemote: true } : undefined;
}
