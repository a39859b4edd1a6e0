import type { SpanProcessor } from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import type { Database } from "../db/database.ts";
import type { Message } from "../events/messages.ts";
import type { RunMetrics, TokenUsage } from "../events/metrics.ts";
import type { RunEventBody } from "../events/run-events.ts";
import { Content, type ContentRules, type ContentSource } from "./content.ts";
import { type MeteredRun, Meters } from "./meters.ts";
import { otlpProcessor } from "./otlp.ts";
import { costOf, type Prices, priced } from "./prices.ts";
import { activeTraceparent, ownTracer, remoteSpan } from "./provider.ts";
import { TraceRetention } from "./retention.ts";
import { RunSpans, type TracedRun, traceIdOf } from "./run-spans.ts";
import { SpanOutlets } from "./span-outlets.ts";
import { TraceWriter } from "./trace-writer.ts";
import { UsageRefresh } from "./usage-refresh.ts";

/** What is recorded of runs, and for how long. */
export interface TraceOptions {
  /** Whether messages, tool arguments and results are recorded. Default true. */
  content?: boolean;
  /**
   * Changes each text before it is recorded, such as to take out what is nobody's business. Where it throws, the text is
   * left out.
   */
  redact?: (text: string, source: ContentSource) => string;
  /** Days after which a trace is deleted. Default: never. */
  retentionDays?: number;
  /** Where spans go as well, beside the database and the OTLP endpoint. They are shut down with the server. */
  spanProcessors?: readonly SpanProcessor[];
}

/** What telemetry of a server needs. */
export interface TelemetryOptions {
  db: Database;
  /** Whether traces are stored in it. Default true. */
  stored?: boolean;
  logger: Logger;
  /** Undefined where nothing is traced. */
  traces: TraceOptions | undefined;
  prices: Prices;
  /** Names this process where several are one server. */
  worker?: string | undefined;
}

/** Listens to the runs of a server: traces, prices, and what Prometheus is told. */
export class Telemetry {
  readonly logger: Logger;
  readonly prices: Prices;
  readonly meters: Meters;
  readonly usage: UsageRefresh;
  readonly #traces: Tracing | undefined;

  constructor({ db, stored = true, logger, traces, prices, worker }: TelemetryOptions) {
    this.logger = logger;
    this.prices = prices;
    this.#traces = traces && new Tracing(db, stored, logger, traces);
    this.meters = new Meters(db, () => this.#traces?.dropped ?? 0, worker);
    this.usage = new UsageRefresh(db, logger, (metrics) => this.priced(metrics));
  }

  /** The span in which the caller's code runs, else the one that a `traceparent` header names. */
  parentOf(traceparent: string | undefined): string | undefined {
    return activeTraceparent() ?? (remoteSpan(traceparent) && traceparent);
  }

  /** Begins to listen to a run. */
  begin(run: TracedRun & MeteredRun): RunTelemetry {
    this.usage.start();
    return new RunTelemetry(run, this, this.#spansOf(run));
  }

  /** What a run cost, beside what it used. */
  priced(metrics: RunMetrics): RunMetrics {
    return priced(this.prices, metrics);
  }

  /** Sends and writes what is buffered, and stops. */
  async close(): Promise<void> {
    await Promise.all([this.usage.stop(), this.#traces?.close()]);
  }

  /** Undefined where nothing is traced, or where its trace cannot be begun: the run is done without. */
  #spansOf(run: TracedRun): RunSpans | undefined {
    try {
      return this.#traces?.begin(run);
    } catch (error) {
      this.logger.warn({ err: error, run_id: run.runId, session_id: run.sessionId }, "a run is not traced");
      return undefined;
    }
  }
}

/** Where the spans of a server go. */
class Tracing {
  readonly #rules: ContentRules;
  /** Undefined where traces are not stored. */
  readonly #writer: TraceWriter | undefined;
  readonly #outlets: SpanOutlets;
  readonly #retention: TraceRetention | undefined;
  readonly #otlp: ReturnType<typeof otlpProcessor>;

  constructor(db: Database, stored: boolean, logger: Logger, options: TraceOptions) {
    this.#rules = { content: options.content ?? true, redact: options.redact, logger };
    this.#writer = stored ? new TraceWriter(db, logger) : undefined;
    this.#otlp = otlpProcessor(logger);
    this.#outlets = new SpanOutlets(
      [...(this.#otlp ? [this.#otlp] : []), ...(options.spanProcessors ?? [])],
      logger,
    );
    this.#retention =
      options.retentionDays === undefined || !stored
        ? undefined
        : new TraceRetention(db, logger, options.retentionDays * 86_400_000);
  }

  get dropped(): number {
    return (this.#writer?.dropped ?? 0) + (this.#otlp?.dropped ?? 0) + this.#outlets.dropped;
  }

  /** Undefined where nobody would see the spans. */
  begin(run: TracedRun): RunSpans | undefined {
    if (!this.#writer && this.#outlets.isEmpty) return undefined;
    this.#retention?.start();
    const { runId, sessionId, agentId, userId } = run;
    const source = { runId, sessionId, agentId, ...(userId !== undefined && { userId }) };
    return new RunSpans(run, {
      tracer: ownTracer(),
      content: new Content(this.#rules, source),
      writer: this.#writer,
      outlets: this.#outlets,
    });
  }

  async close(): Promise<void> {
    this.#retention?.stop();
    await Promise.allSettled([this.#writer?.close(), this.#outlets.shutdown()]);
  }
}

/** Listens to a question to the model. */
export type ChatObserver = Pick<RunTelemetry, "modelRequested" | "modelAnswered">;

/** Listens to one run: to its events, and to its turns of the model and its tools. A failure of its own never fails the run. */
export class RunTelemetry {
  /** Names the run's trace, also where nothing is traced. */
  readonly traceId: string;
  readonly #run: TracedRun & MeteredRun;
  readonly #telemetry: Telemetry;
  readonly #spans: RunSpans | undefined;

  constructor(run: TracedRun & MeteredRun, telemetry: Telemetry, spans: RunSpans | undefined) {
    this.#run = run;
    this.#telemetry = telemetry;
    this.#spans = spans;
    this.traceId = spans?.traceId ?? remoteSpan(run.traceparent)?.traceId ?? traceIdOf(run.runId);
  }

  /** Takes an event as it is appended to the run's log; the last one once it is stored. */
  event(event: RunEventBody): void {
    this.#safely(() => this.#take(event));
  }

  /** Another process goes on with the run. */
  letGo(): void {
    this.#safely(() => this.#spans?.end("released"));
  }

  /** A turn of the model begins. The list of messages may grow afterwards. */
  modelRequested(messages: readonly Message[], stream: boolean): void {
    this.#safely(() => this.#spans?.modelRequested(messages, stream));
  }

  /** The model failed, and is asked again after some seconds. */
  modelRetried(error: Error, seconds: number): void {
    this.#safely(() => this.#spans?.modelRetried(error, seconds));
  }

  /** A turn of the model has ended. */
  modelAnswered(message: Message, usage: TokenUsage): void {
    this.#safely(() => this.#spans?.modelAnswered(message, usage, this.#costOf(usage)));
  }

  /** Runs a tool's code, so that its own spans find their parent. */
  inTool<T>(callId: string, work: () => T): T {
    return this.#spans ? this.#spans.inTool(callId, work) : work();
  }

  /** Does work that follows the run, as a part of its trace, with what it asks of the model. */
  follow(name: string, work: (observer?: ChatObserver) => Promise<void>): Promise<void> {
    if (!this.#spans) return work();
    return this.#spans.follow(name, (chat) =>
      work({
        modelRequested: (messages, stream) => this.#safely(() => chat.modelRequested(messages, stream)),
        modelAnswered: (message, usage) =>
          this.#safely(() => chat.modelAnswered(message, usage, this.#costOf(usage))),
      }),
    );
  }

  #costOf(usage: TokenUsage): number | null {
    return costOf(this.#telemetry.prices, this.#run.model, usage);
  }

  #take(event: RunEventBody): void {
    switch (event.event) {
      case "ToolCallStarted":
        this.#spans?.toolStarted(event.tool);
        break;
      case "ToolCallCompleted":
        this.#spans?.toolCompleted(event.tool);
        this.#telemetry.meters.toolCompleted(this.#run, event.tool);
        break;
      case "MemoryUpdateStarted":
        this.#spans?.memoryStarted();
        break;
      case "MemoryUpdateCompleted":
        this.#spans?.memoryCompleted(event.memories.length);
        break;
      case "RunPaused":
        this.#spans?.end("paused", event);
        break;
      case "RunCompleted":
      case "RunError":
      case "RunCancelled": {
        const status = statuses[event.event];
        this.#telemetry.meters.runEnded(this.#run, status, event.metrics);
        this.#spans?.end(status, event);
        break;
      }
    }
  }

  #safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      const { runId: run_id, sessionId: session_id } = this.#run;
      this.#telemetry.logger.warn({ err: error, run_id, session_id }, "telemetry of a run failed");
    }
  }
}

const statuses = { RunCompleted: "completed", RunError: "error", RunCancelled: "cancelled" } as const;
