import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";

/** Milliseconds that a span may wait for others. */
const interval = 1000;

/** Spans that may wait. */
const mostSpans = 8192;

/** Milliseconds between two lines about an endpoint that does not take spans. */
const tellEvery = 10_000;

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
  const exporter = new CountingExporter(logger);
  const batches = new BatchSpanProcessor({
    exporter,
    scheduledDelayMillis: interval,
    maxQueueSize: mostSpans,
  });
  return {
    get dropped() {
      return exporter.dropped;
    },
    onStart: () => undefined,
    onEnd: (span) => batches.onEnd(span),
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  };
}

/** The exporter of OpenTelemetry, loaded with the first spans, for most servers have no endpoint. */
class CountingExporter implements SpanExporter {
  readonly #logger: Logger;
  #exporter: Promise<SpanExporter> | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  dropped = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#loaded()
      .then((exporter) =>
        exporter.export(spans, (result) => {
          if (result.code !== ExportResultCode.SUCCESS) this.#failed(spans.length, result.error);
          done(result);
        }),
      )
      .catch((error: Error) => {
        this.#failed(spans.length, error);
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

  #failed(spans: number, error: unknown): void {
    this.dropped += spans;
    const now = performance.now();
    if (now - this.#toldAt < tellEvery) return;
    this.#toldAt = now;
    this.#logger.warn(
      { err: error, spans, spans_in_all: this.dropped },
      "the OTLP endpoint did not take spans",
    );
  }
}
