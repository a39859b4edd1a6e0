import {
  type Attributes,
  type Context,
  context,
  type HrTime,
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
import type { RunMetrics, TokenUsage } from "../events/metrics.ts";
import type { RunPaused, TerminalEventBody } from "../events/run-events.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import { attributes as a, operations } from "./attributes.ts";
import type { Content } from "./content.ts";
import { traceIdOf } from "./log-ids.ts";
import { remoteSpan, startTrace } from "./provider.ts";
import { withoutSecrets } from "./secrets.ts";
import type { SpanOutlets } from "./span-outlets.ts";
import { inRun, type SpanSink } from "./span-sink.ts";
import { milliseconds, sizeOf, storedSpan } from "./stored-span.ts";
import type { TraceSource, TraceWriter } from "./trace-writer.ts";

/** A model as telemetry names it. */
interface RunModel {
  id: string;
  provider: string;
}

/** A run that is traced. */
export interface TracedRun {
  runId: string;
  sessionId: string;
  agentId: string;
  agentName: string | undefined;
  userId: string | undefined;
  message: string;
  /** The model that it asks. */
  model: RunModel;
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

/** Where a turn of the model stands. */
interface ChatSpan {
  span: Span;
  messages: readonly Message[];
  /** How many of them were sent: the list grows. */
  count: number;
}

interface ToolSpan {
  span: Span;
  memory?: Span;
}

/** The spans of one run: made as it goes, kept until it ends, then handed to the writer. */
export class RunSpans implements SpanSink, TraceSource {
  readonly traceId: string;
  readonly #run: TracedRun;
  readonly #parts: SpanParts;
  readonly #root: Span;
  /** What the process's exact clock is behind Unix time, in milliseconds: the same for all spans of the run. */
  readonly #origin = Date.now() - performance.now();
  readonly #within: Context;
  #chat: ChatSpan | undefined;
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
    const remote = remoteSpan(run.traceparent);
    const base = inRun(remote ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT, this);
    const name = run.agentName ?? run.agentId;
    const hasWaited = run.since === undefined && !run.isResumed;
    const start = () =>
      parts.tracer.startSpan(
        `${operations.agent} ${name}`,
        {
          kind: SpanKind.INTERNAL,
          startTime: hasWaited ? exact(run.createdAt) : this.#time(run.since),
          attributes: {
            [a.operation]: operations.agent,
            [a.agentId]: run.agentId,
            [a.agentName]: name,
            [a.conversation]: run.sessionId,
            [a.runId]: run.runId,
            [a.requestModel]: run.model.id,
            [a.provider]: run.model.provider,
            ...(run.userId !== undefined && { [a.userId]: run.userId }),
            ...(run.attempt > 1 && { [a.attempt]: run.attempt }),
          },
        },
        base,
      );
    this.#root = remote ? start() : startTrace(traceIdOf(run.runId), start);
    this.traceId = this.#root.spanContext().traceId;
    this.#within = trace.setSpan(base, this.#root);
    if (hasWaited) this.#waited();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A turn of the model begins. */
  modelRequested(messages: readonly Message[], stream: boolean): void {
    this.#chat = this.#startChat(messages, stream, this.#within);
  }

  /** The model is asked again after a failure. */
  modelRetried(error: Error, seconds: number): void {
    const message = this.#parts.content.text("error", error.message);
    const known = { [a.errorType]: typeOf(error), wait_seconds: seconds };
    this.#chat?.span.addEvent("retry", message === undefined ? known : { ...known, message }, this.#time());
  }

  /** A turn of the model has ended. */
  modelAnswered(message: Message, usage: TokenUsage, cost: number | null): void {
    if (!this.#chat) return;
    this.#answered(this.#chat, message, usage, cost);
    this.#chat = undefined;
  }

  /** A tool is about to run. */
  toolStarted(tool: ToolExecution): void {
    const args = this.#parts.content.text("tool_arguments", JSON.stringify(tool.tool_args));
    const span = this.#child(`${operations.tool} ${tool.tool_name}`, SpanKind.INTERNAL, {
      [a.operation]: operations.tool,
      [a.toolName]: tool.tool_name,
      [a.toolType]: "function",
      [a.toolCallId]: tool.tool_call_id,
      ...(args !== undefined && { [a.toolArguments]: args }),
    });
    this.#lastTool = { span };
    this.#tools.set(tool.tool_call_id, this.#lastTool);
  }

  /** A tool has run. */
  toolCompleted(tool: ToolExecution): void {
    const entry = this.#tools.get(tool.tool_call_id);
    if (!entry) return;
    this.#tools.delete(tool.tool_call_id);
    entry.memory?.end(this.#time());
    const failed = tool.tool_call_error === true;
    const result = this.#parts.content.text(failed ? "error" : "tool_result", tool.result ?? "");
    if (result !== undefined) entry.span.setAttribute(a.toolResult, result);
    if (failed) this.#fail(entry.span, "tool_error", tool.result ?? "");
    entry.span.end(this.#time());
  }

  /** What is remembered is about to change, by the tool that has just begun. */
  memoryStarted(): void {
    if (!this.#lastTool) return;
    const parent = trace.setSpan(this.#within, this.#lastTool.span);
    this.#lastTool.memory = this.#child(
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
  async follow(
    name: string,
    work: (chat: Pick<RunSpans, "modelRequested" | "modelAnswered">) => Promise<void>,
  ): Promise<void> {
    const operation = name === "remembering" ? operations.memory : name.replaceAll(" ", "_");
    const span = this.#child(operation, SpanKind.INTERNAL, { [a.operation]: operation });
    const open: { chat?: ChatSpan | undefined } = {};
    const turns: Parameters<typeof work>[0] = {
      modelRequested: (messages, stream) => {
        open.chat = this.#startChat(messages, stream, trace.setSpan(this.#within, span));
      },
      modelAnswered: (message, usage, cost) => {
        if (open.chat) this.#answered(open.chat, message, usage, cost);
        open.chat = undefined;
      },
    };
    try {
      await context.with(trace.setSpan(inRun(context.active(), this), span), () => work(turns));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (open.chat) {
        this.#fail(open.chat.span, typeOf(error), reason);
        this.#endChat(open.chat);
      }
      this.#fail(span, typeOf(error), reason);
      throw error;
    } finally {
      span.end(this.#time());
    }
  }

  /** The run's own end, or that of its part before a pause; without an event, another process goes on with it. */
  end(status: string, event?: TerminalEventBody | RunPaused): void {
    // It was let go, and its end could not be stored either.
    if (!this.#root.isRecording()) return;
    const failed = event?.event === "RunError";
    if (event) this.#close(event);
    this.#root.setAttribute(a.runStatus, status);
    if (failed) this.#fail(this.#root, event.error_type, event.content);
    this.#root.end(this.#time());
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
    this.#parts.tracer
      .startSpan(
        operations.queue,
        {
          kind: SpanKind.INTERNAL,
          startTime: exact(this.#run.createdAt),
          attributes: { [a.operation]: operations.queue, [a.runId]: this.#run.runId },
        },
        this.#within,
      )
      .end(this.#time());
  }

  /** What the last event tells, and an end for all that has none. */
  #close(event: TerminalEventBody | RunPaused): void {
    const { content } = this.#parts;
    for (const { span, memory } of this.#tools.values()) {
      memory?.end(this.#time());
      if (event.event !== "RunPaused") {
        span.setStatus({ code: SpanStatusCode.ERROR });
        span.setAttribute(a.errorType, event.event === "RunError" ? event.error_type : "run_cancelled");
      }
      span.end(this.#time());
    }
    this.#tools.clear();
    if (this.#chat) {
      if (event.event === "RunError") this.#fail(this.#chat.span, event.error_type, event.content);
      this.#endChat(this.#chat);
      this.#chat = undefined;
    }
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

  #startChat(messages: readonly Message[], stream: boolean, parent: Context): ChatSpan {
    const { id, provider } = this.#run.model;
    const known = {
      [a.operation]: operations.chat,
      [a.provider]: provider,
      [a.requestModel]: id,
      [a.requestStream]: stream,
    };
    const span = this.#child(`${operations.chat} ${id}`, SpanKind.CLIENT, known, parent);
    return { span, messages, count: messages.length };
  }

  #answered(chat: ChatSpan, message: Message, usage: TokenUsage, cost: number | null): void {
    const timeToFirst = message.metrics?.time_to_first_token;
    chat.span.setAttributes({
      ...usageOf(usage),
      [a.finishReasons]: [message.finish_reason ?? "other"],
      ...(timeToFirst !== undefined && { [a.timeToFirstChunk]: timeToFirst }),
      ...(cost !== null && { [a.cost]: cost }),
    });
    const said = this.#parts.content.messages([message], message.finish_reason);
    if (said !== undefined) chat.span.setAttribute(a.outputMessages, said);
    this.#endChat(chat);
  }

  #endChat({ span, messages, count }: ChatSpan): void {
    const asked = this.#parts.content.messages(messages.slice(0, count));
    if (asked !== undefined) span.setAttribute(a.inputMessages, asked);
    span.end(this.#time());
  }

  #child(name: string, kind: SpanKind, attributes: Attributes, parent = this.#within): Span {
    attributes[a.runId] = this.#run.runId;
    return this.#parts.tracer.startSpan(name, { kind, attributes, startTime: this.#time() }, parent);
  }

  /** The exact time, or that of a moment by `performance.now()`. */
  #time(moment = performance.now()): HrTime {
    return exact(this.#origin + moment);
  }

  #fail(span: Span, type: string, reason: string): void {
    span.setAttribute(a.errorType, type);
    const message = this.#parts.content.text("error", reason);
    span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
  }
}

/** Unix milliseconds as OpenTelemetry's exact time. */
function exact(milliseconds: number): HrTime {
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}

function usageOf(usage: TokenUsage): Attributes {
  return {
    [a.inputTokens]: usage.input_tokens,
    [a.outputTokens]: usage.output_tokens,
    ...(usage.cache_read_tokens > 0 && { [a.cacheReadTokens]: usage.cache_read_tokens }),
    ...(usage.cache_write_tokens > 0 && { [a.cacheWriteTokens]: usage.cache_write_tokens }),
    ...(usage.reasoning_tokens > 0 && { [a.reasoningTokens]: usage.reasoning_tokens }),
  };
}

function costOf({ cost }: RunMetrics): Attributes {
  return typeof cost === "number" ? { [a.cost]: cost } : {};
}

function bare(role: "user" | "assistant", content: string): Message {
  return { id: "", role, content, from_history: false, stop_after_tool_call: false, created_at: 0 };
}

function typeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (typeof code === "string") return code;
  return error instanceof Error ? error.name : "error";
}
