import { readUntil } from "./read-events.ts";

/** A frame of a stream that was taken up again: an event of the run has an `id`, a control frame has none. */
export interface ResumedFrame {
  id: number | undefined;
  event: string;
  data: Record<string, unknown>;
}

/** Takes frames apart. */
export function resumedFrames(text: string): ResumedFrame[] {
  return text.split("\n\n").flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    const [id, data] = [field("id"), field("data")];
    if (data === undefined) return [];
    const event = { event: field("event")!, data: JSON.parse(data) };
    return [{ id: id === undefined ? undefined : Number(id), ...event }];
  });
}

/** The indexes of the run's events in frames. */
export function indexesOf(frames: readonly ResumedFrame[]): number[] {
  return frames.flatMap(({ id }) => id ?? []);
}

/** Whole numbers, both ends among them. */
export function upTo(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** A stream that a reader has begun to read. */
export interface Begun {
  runId: string;
  reader: ReadableStreamDefaultReader<Uint8Array>;
  /** What it has read so far. */
  text: string;
  /** Reads to the end, and gives all of it. */
  rest(): Promise<string>;
}

/** Starts a run of `copilot` that streams, and reads it up to a text. */
export async function beginRun(
  node: { url: string },
  message: string,
  until: string,
  fields: object = {},
): Promise<Begun> {
  const response = await fetch(`${node.url}/agents/copilot/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message, stream: true, ...fields }),
  });
  const reader = response.body!.getReader();
  const text = await readUntil(reader, until);
  return { runId: /"run_id":"([^"]+)"/.exec(text)![1]!, reader, text, rest: () => restOf(reader, text) };
}

/** Reads a stream to its end, and gives what was read before and what came. */
export async function restOf(reader: ReadableStreamDefaultReader<Uint8Array>, before = ""): Promise<string> {
  const decoder = new TextDecoder();
  let text = before;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
  }
}

/** Takes the stream of a run up again. */
export function resume(
  node: { url: string },
  runId: string,
  { method = "POST", after = -1 } = {},
): Promise<Response> {
  return fetch(`${node.url}/agents/copilot/runs/${runId}/resume?last_event_index=${after}`, { method });
}
