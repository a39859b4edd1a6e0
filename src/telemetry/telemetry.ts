import type { SpanProcessor } from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import type { Database } from "../db/database.ts";
import type { StoredEnd } from "../db/records.ts";
import type { Message } from "../events/messages.ts";
import type { RunMetrics, TokenUsage } from "../events/metrics.ts";
import type { RunEventBody, TerminalEventBody } from "../events/run-events.ts";
import { Content, type ContentRules, type ContentSource } from "./content.ts";
import { type LogIds, logIdsOf, traceIdOf } from "./log-ids.ts";
import type { Measured, MeteredRun, Meters } from "./meters.ts";
import type { OtlpProcessor } from "./otlp.ts";
import { costOf, type Prices, priced } from "./prices.ts";
import { TraceRetention } from "./retention.ts";
import type { RunSpans, TracedRun } from "./run-spans.ts";
import { SpanOutlets } from "./span-outlets.ts";
import { endedRun } from "./stored-end.ts";
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
interface TelemetryOptions {
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

/** OpenTelemetry, the client of Prometheus, and what is built on them. */
type Instruments = typeof import("./instruments.ts");

/** Listens to the runs of a server: traces, prices, and what Prometheus is told. */
export class Telemetry {
  readonly logger: Logger;
  readonly prices: Prices;
  readonly usage: UsageRefresh;
  readonly #options: TelemetryOptions;
  #loading: Promise<void> | undefined;
  #instruments!: Instruments;
  #traces: Tracing | undefined;
  #meters!: Meters;
  /** Runs whose end was told, and not stored. */
  readonly #unstored = new Set<string>();

  constructor(options: TelemetryOptions) {
    const { db, logger, prices } = options;
    this.logger = logger;
    this.prices = prices;
    this.#options = options;
    this.usage = new UsageRefresh(db, logger, (metrics) => this.priced(metrics));
  }

  /**
   * Loads what it takes to listen to runs: a third of all code, and none that a start needs. It must have resolved before
   * anything else is asked of it but `usage`, `prices` and `close()`. Called again, it does nothing.
   */
  load(): Promise<void> {
    this.#loading ??= import("./instruments.ts").then((instruments) => {
      const { db, stored = true, logger, traces, worker } = this.#options;
      this.#instruments = instruments;
      this.#traces = traces && new Tracing(instruments, db, stored, logger, traces);
      this.#meters = new instruments.Meters(db, () => this.#traces?.dropped ?? 0, worker);
    });
    return this.#loading;
  }

  /** What this process tells Prometheus. */
  get meters(): Meters {
    return this.#meters;
  }

  /** What processes measured, as text. @param openMetrics - in that format, else in Prometheus' own */
  async metricsText(
    measured: readonly Measured[],
    openMetrics: boolean,
  ): Promise<{ type: string; text: string }> {
    await this.load();
    return this.#instruments.metricsText(measured, openMetrics);
  }

  /** The span in which the caller's code runs, else the one that a `traceparent` header names. */
  parentOf(traceparent: string | undefined): string | undefined {
    const { activeTraceparent, remoteSpan } = this.#instruments;
    return activeTraceparent() ?? (remoteSpan(traceparent) && traceparent);
  }

  /** Begins to listen to a run. */
  begin(run: TracedRun & MeteredRun): RunTelemetry {
    this.usage.start();
    const spans = this.#spansOf(run);
    const { remoteSpan } = this.#instruments;
    const traceId = spans?.traceId ?? remoteSpan(run.traceparent)?.traceId ?? traceIdOf(run.runId);
    return new RunTelemetry(run, traceId, this, spans);
  }

  /**
   * Takes a run that was ended in the database, where no process was at it that would tell.
   *
   * @param agentName - where its agent is served here
   */
  ended(end: StoredEnd, agentName: string | undefined): void {
    const { run_id } = end.row;
    // Its end was told when it could not be stored.
    if (this.#unstored.delete(run_id)) return;
    // It may have been ended as the database was opened, before all else.
    this.load()
      .then(() => this.begin(endedRun(end, agentName)).event(end.event))
      .catch((error: unknown) =>
        this.logger.warn({ err: error, ...logIdsOf(end.row) }, "the end of a run is not traced"),
      );
  }

  /** Notes that a run's end was told, but not stored: the database will end the run. */
  unstored(runId: string): void {
    this.#unstored.add(runId);
  }

  /** What a run cost, beside what it used. */
  priced(metrics: RunMetrics): RunMetrics {
    return priced(this.prices, metrics);
  }

  /** Sends and writes what is buffered, and stops. */
  async close(): Promise<void> {
    // Whose processors are handed in has them shut down, also where no run was ever begun.
    if (this.#loading || this.#options.traces?.spanProcessors) await this.load();
    await Promise.all([this.usage.stop(), this.#traces?.close()]);
  }

  /** Undefined where nothing is traced, or where its trace cannot be begun: the run is done without. */
  #spansOf(run: TracedRun): RunSpans | undefined {
    try {
      return this.#traces?.begin(run);
    } catch (error) {
      this.logger.warn({ err: error, ...logIdsOfRun(run) }, "a run is not traced");
      return undefined;
    }
  }
}

/** Where the spans of a server go. */
class Tracing {
  readonly #instruments: Instruments;
  readonly #rules: ContentRules;
  /** Undefined where traces are not stored. */
  readonly #writer: TraceWriter | undefined;
  readonly #outlets: SpanOutlets;
  readonly #retention: TraceRetention | undefined;
  readonly #otlp: OtlpProcessor | undefined;

  constructor(
    instruments: Instruments,
    db: Database,
    stored: boolean,
    logger: Logger,
    options: TraceOptions,
  ) {
    this.#instruments = instruments;
    this.#rules = { content: options.content ?? true, redact: options.redact, logger };
    this.#writer = stored ? new TraceWriter(db, logger) : undefined;
    this.#otlp = instruments.otlpProcessor(logger);
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
    const { RunSpans, ownTracer } = this.#instruments;
    return new RunSpans(run, {
      tracer: ownTracer(),
      content: new Content(this.#rules, source, logIdsOfRun(run)),
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
type ChatObserver = Pick<RunTelemetry, "modelRequested" | "modelAnswered">;

/** Listens to one run: to its events, and to its turns of the model and its tools. A failure of its own never fails the run. */
export class RunTelemetry {
  /** Names the run's trace, also where nothing is traced. */
  readonly traceId: string;
  readonly #run: TracedRun & MeteredRun;
  readonly #telemetry: Telemetry;
  readonly #spans: RunSpans | undefined;

  constructor(
    run: TracedRun & MeteredRun,
    traceId: string,
    telemetry: Telemetry,
    spans: RunSpans | undefined,
  ) {
    this.#run = run;
    this.traceId = traceId;
    this.#telemetry = telemetry;
    this.#spans = spans;
  }

  /** Takes an event as it is appended to the run's log; the last one once it is stored. */
  event(event: RunEventBody): void {
    this.#safely(() => this.#take(event));
  }

  /** Takes the last event of a run where it cannot be stored. */
  endUnstored(event: TerminalEventBody): void {
    this.#telemetry.unstored(this.#run.runId);
    this.event(event);
  }

  /** Another process goes on with the run. */
  letGo(): void {
    this.#safely(() => this.#spans?.end("released"));
  }

  /** A turn of the model begins. The list of messages may grow afterwards. */
  modelRequested(messages: readonly Message[], stream: boolean): void {
    this.#safely(() => this.#spans?.chat.modelRequested(messages, stream));
  }

  /** The model failed, and is asked again after some seconds. */
  modelRetried(error: Error, seconds: number): void {
    this.#safely(() => this.#spans?.chat.modelRetried(error, seconds));
  }

  /** A turn of the model has ended. */
  modelAnswered(message: Message, usage: TokenUsage): void {
    this.#safely(() => this.#spans?.chat.modelAnswered(message, usage, this.#costOf(usage)));
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
      this.#telemetry.logger.warn(
        { err: error, run_id, session_id, trace_id: this.traceId },
        "telemetry of a run failed",
      );
    }
  }
}

function logIdsOfRun({ runId, sessionId, traceparent }: TracedRun): LogIds {
  return logIdsOf({ run_id: runId, session_id: sessionId, traceparent });
}

const statuses = { RunCompleted: "completed", RunError: "error", RunCancelled: "cancelled" } as const;
