import {
  type Context,
  context,
  createContextKey,
  type Span,
  type SpanContext,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { parseTraceParent } from "@opentelemetry/core";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  createAlwaysRecordSampler,
  type IdGenerator,
  ParentBasedSampler,
  RandomIdGenerator,
  type ReadableSpan,
  type SpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";

import { ownScope } from "./stored-span.ts";

/** Takes the spans that end within one run. */
export interface SpanSink {
  /** @param isForeign - whether another OpenTelemetry SDK made it, which sends it where it wants itself */
  add(span: ReadableSpan, isForeign: boolean): void;
}

const sinkKey = createContextKey("agentos: the run that spans belong to");

/** Where a span remembers whose it is. A weak map would keep spans alive past their time. */
const sinkOf = Symbol("agentos: the run that this span belongs to");

/** A context whose spans belong to a run. */
export function inRun(parent: Context, sink: SpanSink): Context {
  return parent.setValue(sinkKey, sink);
}

/**
 * Hands spans to the run in whose tools they are made, so that they stand in its trace. Needed only by programs that set
 * up OpenTelemetry themselves: add it to the span processors there. Without an SDK of your own, nothing is to be done.
 *
 * @example
 * new NodeSDK({ spanProcessors: [new BatchSpanProcessor({ exporter }), new AgentSpanProcessor()] }).start();
 */
export class AgentSpanProcessor implements SpanProcessor {
  readonly #isForeign: boolean;

  constructor(options: { ours?: boolean } = {}) {
    this.#isForeign = options.ours !== true;
  }

  /** Notes whose span it is. */
  onStart(span: object, parentContext: Context): void {
    const sink = parentContext.getValue(sinkKey) as SpanSink | undefined;
    if (sink) (span as { [sinkOf]?: SpanSink })[sinkOf] = sink;
  }

  /** Hands it over. */
  onEnd(span: ReadableSpan): void {
    (span as { [sinkOf]?: SpanSink })[sinkOf]?.add(span, this.#isForeign);
  }

  /** Nothing waits here. */
  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  /** Nothing is held here. */
  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

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
