import { TraceFlags } from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, getNumberFromEnv } from "@opentelemetry/core";
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import { Drops } from "./drops.ts";

/** Milliseconds that a span may wait for others. */
const interval = 1000;

/** Spans that may wait, or be on their way, where `OTEL_BSP_MAX_QUEUE_SIZE` says nothing else. */
const mostSpans = 8192;

/** Spans in one request at most. */
const atOnce = 512;

/** Milliseconds that a stop waits for the endpoint. */
const closeLimit = 5000;

/** Sends spans to an OTLP endpoint, and counts those that it did not take. */
export interface OtlpProcessor extends SpanProcessor {
  readonly dropped: number;
}

/**
 * Sends spans to the endpoint that OpenTelemetry's own environment variables name; undefined where they name none.
 *
 * @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
export function otlpProcessor(logger: Logger): OtlpProcessor | undefined {
  const endpoint =
    process.env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] || process.env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  if (!endpoint) return undefined;
  const limit = getNumberFromEnv("OTEL_BSP_MAX_QUEUE_SIZE") ?? mostSpans;
  return new CountingProcessor(logger, limit >= 1 ? Math.floor(limit) : mostSpans);
}

/** Batches of spans, with a count of our own: OpenTelemetry's processor does not tell what it drops. */
class CountingProcessor implements OtlpProcessor {
  readonly #limit: number;
  readonly #batches: BatchSpanProcessor;
  readonly #drained = Promise.withResolvers<void>();
  /** Spans that wait or are on their way. */
  #pending = 0;
  readonly #drops: Drops;
  #isClosing = false;
  #isClosed = false;

  constructor(logger: Logger, limit: number) {
    this.#drops = new Drops(logger, "the OTLP endpoint did not take spans");
    this.#limit = limit;
    this.#batches = new BatchSpanProcessor({
      exporter: new LazyExporter((spans, error) => this.#done(spans, error)),
      scheduledDelayMillis: interval,
      maxQueueSize: limit,
      maxExportBatchSize: Math.min(atOnce, limit),
    });
  }

  get dropped(): number {
    return this.#drops.count;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return;
    if (this.#isClosing) this.#drop(1, "the server stops");
    else if (this.#pending >= this.#limit) this.#drop(1, "the endpoint is too slow: too many spans wait");
    else {
      this.#pending++;
      this.#batches.onEnd(span);
    }
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  /** Sends what waits. What the endpoint has not taken after five seconds is dropped. */
  async shutdown(): Promise<void> {
    this.#isClosing = true;
    if (this.#pending === 0) this.#drained.resolve();
    const stopped = this.#batches.shutdown();
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, closeLimit);
    // One batch that fails ends the wait for the others in OpenTelemetry's processor, and not here.
    await Promise.race([Promise.allSettled([stopped, this.#drained.promise]), late.promise]);
    clearTimeout(timer);
    this.#isClosed = true;
    if (this.#pending > 0) this.#drop(this.#pending, "the server stops, and the endpoint did not answer");
    else await stopped;
    this.#drops.tellRest({ reason: "the server stops" });
  }

  #done(spans: number, error: unknown): void {
    // Counted as dropped already.
    if (this.#isClosed) return;
    this.#pending -= spans;
    if (error !== undefined) this.#drop(spans, "the endpoint failed", error);
    if (this.#isClosing && this.#pending === 0) this.#drained.resolve();
  }

  #drop(spans: number, reason: string, error?: unknown): void {
    this.#drops.add(spans, { ...(error !== undefined && { err: error }), reason });
  }
}

/** The exporter of OpenTelemetry, loaded with the first spans, for most servers have no endpoint. */
class LazyExporter implements SpanExporter {
  readonly #onDone: (spans: number, error: unknown) => void;
  #exporter: Promise<SpanExporter> | undefined;

  /** @param onDone - told of each batch how many spans it had, and why it failed where it did */
  constructor(onDone: (spans: number, error: unknown) => void) {
    this.#onDone = onDone;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#loaded()
      .then((exporter) =>
        exporter.export(spans, (result) => {
          const failed = result.code !== ExportResultCode.SUCCESS;
          this.#onDone(spans.length, failed ? (result.error ?? new Error("The export failed.")) : undefined);
          done(result);
        }),
      )
      .catch((error: Error) => {
        this.#onDone(spans.length, error);
        done({ code: ExportResultCode.FAILED, error });
      });
  }

  async shutdown(): Promise<void> {
    await (await this.#exporter)?.shutdown();
  }

  async forceFlush(): Promise<void> {
    await (await this.#exporter)?.forceFlush?.();
  }

  #loaded(): Promise<SpanExporter> {
    this.#exporter ??= import("@opentelemetry/exporter-trace-otlp-proto").then(
      ({ OTLPTraceExporter }) => new OTLPTraceExporter(),
    );
    return this.#exporter;
  }
}
