import {
  type Attributes,
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { TraceWrite } from "../db/traces.ts";
import type { Message } from "../events/messages.ts";
import type { RunMetrics } from "../events/metrics.ts";
import type { RunPaused, TerminalEventBody } from "../events/run-events.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import { attributes as a, operations } from "./attributes.ts";
import type { Content } from "./content.ts";
import { traceIdOf } from "./log-ids.ts";
import { ModelTurns, type NamedModel, usageOf } from "./model-turns.ts";
import { remoteSpan, startTrace } from "./provider.ts";
import { withoutSecrets } from "./secrets.ts";
import { exact, SpanMaker, typeOf } from "./span-maker.ts";
import type { SpanOutlets } from "./span-outlets.ts";
import { inRun, type SpanSink } from "./span-sink.ts";
import { milliseconds, sizeOf, storedSpan } from "./stored-span.ts";
import type { TraceSource, TraceWriter } from "./trace-writer.ts";

/** A run that is traced. */
export interface TracedRun {
  runId: string;
  sessionId: string;
  agentId: string;
  agentName: string | undefined;
  userId: string | undefined;
  message: string;
  /** The model that it asks. */
  model: NamedModel;
  attempt: number;
  /** The span above it, as W3C's header has it. */
  traceparent?: string;
  /** When it began to be accepted, by `performance.now()`; absent for one that waited or was begun before. */
  since?: number;
  /** When it was accepted, as Unix milliseconds. */
  createdAt: number;
  /** Whether it was begun before: it goes on after a pause, or after its process was lost. */
  isResumed: boolean;
}

/** What the spans of a run need. */
interface SpanParts {
  tracer: Tracer;
  content: Content;
  /** Where they are stored; undefined where they are only sent on. */
  writer: TraceWriter | undefined;
  /** Where else they go. */
  outlets: SpanOutlets;
}

/** Spans of one run that wait for its end at most. What tools make beyond is dropped. */
const mostSpans = 2000;

interface ToolSpan {
  span: Span;
  memory?: Span;
}

/** The spans of one run: made as it goes, kept until it ends, then handed to the writer. */
export class RunSpans implements SpanSink, TraceSource {
  readonly traceId: string;
  readonly #run: TracedRun;
  readonly #parts: SpanParts;
  readonly #make: SpanMaker;
  readonly #root: Span;
  readonly #within: Context;
  /** The turns of the model that are the run's own. */
  readonly chat: ModelTurns;
  readonly #tools = new Map<string, ToolSpan>();
  #lastTool: ToolSpan | undefined;
  #ended: ReadableSpan[] = [];
  #bytes = 0;
  #rootSpan: ReadableSpan | undefined;
  #rootIsWritten = false;
  #output = "";

  constructor(run: TracedRun, parts: SpanParts) {
    this.#run = run;
    this.#parts = parts;
    this.#make = new SpanMaker(parts.tracer, parts.content, run.runId);
    const remote = remoteSpan(run.traceparent);
    const base = inRun(remote ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT, this);
    const name = run.agentName ?? run.agentId;
    const hasWaited = run.since === undefined && !run.isResumed;
    const start = () =>
      this.#make.start(
        `${operations.agent} ${name}`,
        SpanKind.INTERNAL,
        {
          [a.operation]: operations.agent,
          [a.agentId]: run.agentId,
          [a.agentName]: name,
          [a.conversation]: run.sessionId,
          [a.requestModel]: run.model.id,
          [a.provider]: run.model.provider,
          ...(run.userId !== undefined && { [a.userId]: run.userId }),
          ...(run.attempt > 1 && { [a.attempt]: run.attempt }),
        },
        base,
        hasWaited ? exact(run.createdAt) : this.#make.time(run.since),
      );
    this.#root = remote ? start() : startTrace(traceIdOf(run.runId), start);
    this.traceId = this.#root.spanContext().traceId;
    this.#within = trace.setSpan(base, this.#root);
    this.chat = new ModelTurns(this.#make, run.model, this.#within);
    if (hasWaited) this.#waited();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A tool is about to run. */
  toolStarted(tool: ToolExecution): void {
    const args = this.#parts.content.text("tool_arguments", JSON.stringify(tool.tool_args));
    const known = {
      [a.operation]: operations.tool,
      [a.toolName]: tool.tool_name,
      [a.toolType]: "function",
      [a.toolCallId]: tool.tool_call_id,
      ...(args !== undefined && { [a.toolArguments]: args }),
    };
    const name = `${operations.tool} ${tool.tool_name}`;
    const span = this.#make.start(name, SpanKind.INTERNAL, known, this.#within);
    this.#lastTool = { span };
    this.#tools.set(tool.tool_call_id, this.#lastTool);
  }

  /** A tool has run. */
  toolCompleted(tool: ToolExecution): void {
    const entry = this.#tools.get(tool.tool_call_id);
    if (!entry) return;
    this.#tools.delete(tool.tool_call_id);
    entry.memory?.end(this.#make.time());
    const failed = tool.tool_call_error === true;
    const result = this.#parts.content.text(failed ? "error" : "tool_result", tool.result ?? "");
    if (result !== undefined) entry.span.setAttribute(a.toolResult, result);
    if (failed) this.#make.fail(entry.span, "tool_error", tool.result ?? "");
    entry.span.end(this.#make.time());
  }

  /** What is remembered is about to change, by the tool that has just begun. */
  memoryStarted(): void {
    if (!this.#lastTool) return;
    const parent = trace.setSpan(this.#within, this.#lastTool.span);
    this.#lastTool.memory = this.#make.start(
      operations.memory,
      SpanKind.INTERNAL,
      { [a.operation]: operations.memory },
      parent,
    );
  }

  /** Notes how much a memory update changed; it ends with its tool. */
  memoryCompleted(changes: number): void {
    for (const { memory } of this.#tools.values()) memory?.setAttribute(a.memoryChanges, changes);
  }

  /** Runs a tool's code where its spans find their parent. */
  inTool<T>(callId: string, work: () => T): T {
    const tool = this.#tools.get(callId);
    return tool ? context.with(trace.setSpan(inRun(context.active(), this), tool.span), work) : work();
  }

  /** Traces work that follows the run, and the turns of the model that it takes, one after another. */
  async follow(name: string, work: (chat: ModelTurns) => Promise<void>): Promise<void> {
    const operation = name === "remembering" ? operations.memory : name.replaceAll(" ", "_");
    const known = { [a.operation]: operation };
    const span = this.#make.start(operation, SpanKind.INTERNAL, known, this.#within);
    const chat = new ModelTurns(this.#make, this.#run.model, trace.setSpan(this.#within, span));
    try {
      await context.with(trace.setSpan(inRun(context.active(), this), span), () => work(chat));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      chat.end({ type: typeOf(error), reason });
      this.#make.fail(span, typeOf(error), reason);
      throw error;
    } finally {
      span.end(this.#make.time());
    }
  }

  /** The run's own end, or that of its part before a pause; without an event, another process goes on with it. */
  end(status: string, event?: TerminalEventBody | RunPaused): void {
    // It was let go, and its end could not be stored either.
    if (!this.#root.isRecording()) return;
    const failed = event?.event === "RunError";
    if (event) this.#close(event);
    this.#root.setAttribute(a.runStatus, status);
    if (failed) this.#make.fail(this.#root, event.error_type, event.content);
    this.#root.end(this.#make.time());
  }

  add(made: ReadableSpan, isForeign: boolean): void {
    const span = withoutSecrets(made);
    if (!isForeign) this.#parts.outlets.send(span);
    const { writer } = this.#parts;
    if (!writer) return;
    const isRoot = span.spanContext().spanId === this.#root.spanContext().spanId;
    if (isRoot) this.#rootSpan = span;
    const bytes = sizeOf(span);
    if (!isRoot && (this.#ended.length >= mostSpans || !writer.hasRoom(bytes))) {
      writer.drop(1);
      return;
    }
    this.#ended.push(span);
    this.#bytes += bytes;
    writer.hold(bytes);
    // What comes after the run's end is written by itself.
    if (this.#rootSpan) writer.add(this);
  }

  take(): TraceWrite {
    const { runId, sessionId, agentId, userId, message } = this.#run;
    const root = this.#rootSpan!;
    const ended = this.#ended;
    this.#ended = [];
    this.#bytes = 0;
    const durationMs = this.#rootIsWritten ? 0 : milliseconds(root.duration);
    this.#rootIsWritten = true;
    return {
      runId,
      sessionId,
      agentId,
      userId,
      traceId: this.traceId,
      name: root.name,
      status: root.status.code === SpanStatusCode.ERROR ? "ERROR" : "OK",
      startTime: milliseconds(root.startTime),
      endTime: milliseconds(root.endTime),
      durationMs,
      input: this.#parts.content.text("input", message) ?? "",
      output: this.#output,
      totalSpans: ended.length,
      errorCount: ended.filter(({ status }) => status.code === SpanStatusCode.ERROR).length,
      spans: JSON.stringify(ended.map(storedSpan)),
    };
  }

  /** The time that a run waited for its turn. */
  #waited(): void {
    const known = { [a.operation]: operations.queue };
    this.#make
      .start(operations.queue, SpanKind.INTERNAL, known, this.#within, exact(this.#run.createdAt))
      .end(this.#make.time());
  }

  /** What the last event tells, and an end for all that has none. */
  #close(event: TerminalEventBody | RunPaused): void {
    const { content } = this.#parts;
    for (const { span, memory } of this.#tools.values()) {
      memory?.end(this.#make.time());
      if (event.event !== "RunPaused") {
        span.setStatus({ code: SpanStatusCode.ERROR });
        span.setAttribute(a.errorType, event.event === "RunError" ? event.error_type : "run_cancelled");
      }
      span.end(this.#make.time());
    }
    this.#tools.clear();
    this.chat.end(event.event === "RunError" ? { type: event.error_type, reason: event.content } : undefined);
    const said = typeof event.content === "string" ? event.content : JSON.stringify(event.content);
    const { message } = this.#run;
    const time = event.metrics.time_to_first_token;
    this.#output = content.text(event.event === "RunError" ? "error" : "output", said) ?? "";
    // What is stored has them beside the spans.
    const isSent = !this.#parts.outlets.isEmpty;
    const input = isSent ? content.messages([bare("user", message)]) : undefined;
    const isAnswer = isSent && event.event !== "RunError";
    const output = isAnswer ? content.messages([bare("assistant", said)]) : undefined;
    this.#root.setAttributes({
      ...usageOf(event.metrics),
      ...(time !== undefined && { [a.timeToFirstToken]: time }),
      ...costOf(event.metrics),
      ...(event.event === "RunCompleted" && {
        [a.outputType]: event.content_type === "str" ? "text" : "json",
      }),
      ...(input !== undefined && { [a.inputMessages]: input }),
      ...(output !== undefined && { [a.outputMessages]: output }),
    });
  }
}

function costOf({ cost }: RunMetrics): Attributes {
  return typeof cost === "number" ? { [a.cost]: cost } : {};
}

function bare(role: "user" | "assistant", content: string): Message {
  return { id: "", role, content, from_history: false, stop_after_tool_call: false, created_at: 0 };
}
