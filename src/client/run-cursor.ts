import type { RunEvent } from "../events/run-events.ts";
import { StreamError, StreamGapError } from "./errors.ts";

/** A frame that is no event of a run: it tells a reader where it stands. */
export interface ControlFrame {
  event: string;
  run_id?: string;
  /** Of the run, in upper case where the server speaks to clients of the original. */
  status?: string;
  /** Of `replay`: how many events follow. */
  total_events?: number;
  /** Of `error`: why the stream does not go on. */
  error?: string;
  /** Of `error`: the kind. */
  error_type?: string;
}

/** @throws {StreamError} when a frame is neither an event nor a control frame, or says that the stream cannot go on */
export function readFrame(data: string): { event: RunEvent } | { control: ControlFrame } {
  let content: RunEvent | ControlFrame;
  try {
    content = JSON.parse(data) as RunEvent | ControlFrame;
  } catch {
    throw new StreamError(`The server sent what is no event: ${data.slice(0, 200)}`);
  }
  if ("event_index" in content) return { event: content };
  if (content.event === "error") {
    throw new StreamError(content.error ?? "The server gave no reason.", content);
  }
  return { control: content };
}

/** Where a reader stands in the log of one run: each event is taken once, and none is missed. */
export class RunCursor {
  readonly runId: string;
  /** Index of the last event that was taken; undefined where the reader does not know at which one it begins. */
  last: number | undefined;
  hasEnded = false;

  constructor(runId: string, last: number | undefined) {
    this.runId = runId;
    this.last = last;
  }

  /**
   * @returns whether the event is new
   * @throws {StreamGapError} when others should have come before it
   */
  take(event: RunEvent): boolean {
    const { event_index: index } = event;
    const isEnd = ends.has(event.event) && !this.hasEnded;
    if (this.last !== undefined) {
      // The server lost what it had sent and not stored: the run's end stands in the place of an event that was read.
      if (index <= this.last && !isEnd) return false;
      if (index > this.last + 1) throw new StreamGapError(this.runId, this.last + 1, index);
    }
    this.last = index;
    this.hasEnded ||= isEnd;
    return true;
  }
}

/** Events after which no other comes. */
const ends: ReadonlySet<string> = new Set(["RunCompleted", "RunError", "RunCancelled"]);
