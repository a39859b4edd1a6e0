import type { Context } from "@opentelemetry/api";
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";

/** Takes the spans that end within one run. */
export interface SpanSink {
  /** @param isForeign - whether another OpenTelemetry SDK made it, which sends it where it wants itself */
  add(span: ReadableSpan, isForeign: boolean): void;
}

/** A context's keys are symbols. OpenTelemetry's own maker of them would load all of its API. */
const sinkKey = Symbol.for("agentos: the run that spans belong to");

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
