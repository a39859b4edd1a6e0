import {
  type Attributes,
  type Context,
  type HrTime,
  type Span,
  type SpanKind,
  SpanStatusCode,
  type Tracer,
} from "@opentelemetry/api";
import { attributes as a } from "./attributes.ts";
import type { Content } from "./content.ts";

/** Makes the spans of one run: all by the same clock, all with the run's id. */
export class SpanMaker {
  /** What of the run's contents may stand in them. */
  readonly content: Content;
  readonly #tracer: Tracer;
  readonly #runId: string;
  /** What the process's exact clock is behind Unix time, in milliseconds: the same for all spans of the run. */
  readonly #origin = Date.now() - performance.now();

  constructor(tracer: Tracer, content: Content, runId: string) {
    this.#tracer = tracer;
    this.content = content;
    this.#runId = runId;
  }

  /** @param startTime - now, where nothing else is said */
  start(
    name: string,
    kind: SpanKind,
    attributes: Attributes,
    parent: Context,
    startTime = this.time(),
  ): Span {
    attributes[a.runId] = this.#runId;
    return this.#tracer.startSpan(name, { kind, attributes, startTime }, parent);
  }

  /** The exact time, or that of a moment by `performance.now()`. */
  time(moment = performance.now()): HrTime {
    return exact(this.#origin + moment);
  }

  /** Says of a span that what it tells of has failed. */
  fail(span: Span, type: string, reason: string): void {
    span.setAttribute(a.errorType, type);
    const message = this.content.text("error", reason);
    span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
  }
}

/** Unix milliseconds as OpenTelemetry's exact time. */
export function exact(milliseconds: number): HrTime {
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}

/** What kind of error it is, as `error.type` has it. */
export function typeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (typeof code === "string") return code;
  return error instanceof Error ? error.name : "error";
}
