import type { RunEvent } from "agentos-ts";

/** A frame of an event stream as it was sent, without those that hold a comment or `retry:` only. */
export interface Frame {
  id: string;
  event: string;
  data: RunEvent;
}

/** Takes a whole event stream apart, as strictly as a browser does. */
export function framesOf(text: string): Frame[] {
  return text
    .split("\n\n")
    .filter((block) => block.includes("data:"))
    .map((block) => {
      const fields = new Map<string, string>();
      for (const line of block.split(/\r\n|\r|\n/)) {
        const colon = line.indexOf(":");
        const name = line.slice(0, colon);
        if (fields.has(name)) throw new Error(`A frame with two lines "${name}:": ${block}`);
        fields.set(name, line.slice(colon + 1).replace(/^ /, ""));
      }
      const data = JSON.parse(fields.get("data") ?? "") as RunEvent;
      return { id: fields.get("id") ?? "", event: fields.get("event") ?? "", data };
    });
}

/** The frames of an answer, once it has ended. */
export async function readFrames(response: Response): Promise<Frame[]> {
  return framesOf(await response.text());
}

/** The events of an answer, once it has ended. */
export async function readEvents(response: Response): Promise<RunEvent[]> {
  return (await readFrames(response)).map(({ data }) => data);
}

/** The names of events, with repeats of one counted as one. */
export function outline(events: readonly { event: string }[]): string[] {
  return events.map(({ event }) => event).filter((name, i, all) => name !== all[i - 1]);
}

/** Reads a stream until a text has come, and returns all that came. What follows stays unread. */
export async function readUntil(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  text: string,
): Promise<string> {
  const decoder = new TextDecoder();
  let got = "";
  while (!got.includes(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`The stream ended without ${JSON.stringify(text)}: ${got.slice(-500)}`);
    got += decoder.decode(value, { stream: true });
  }
  return got;
}
