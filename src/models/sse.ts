/** One event of a server-sent event stream. */
export interface SseMessage {
  /** The `event` field; empty where the server gave none. */
  event: string;
  /** The `data` lines, joined by line feeds. */
  data: string;
}

const lineFeed = 10;
const carriageReturn = 13;
const colon = 58;
const space = 32;

/**
 * Turns the bytes of an event stream into its events, however the network cut them.
 * Fields other than `event` and `data`, and comments, are skipped. A line ends with `\n` or `\r\n`.
 *
 * @example
 * const parser = new SseParser();
 * for await (const bytes of body) {
 *   for (const { data } of parser.push(bytes)) show(JSON.parse(data));
 * }
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class SseParser {
  #unfinishedLine: Uint8Array[] = [];
  #started = false;
  #event = "";
  #data: string | undefined;

  /**
   * Takes the next bytes.
   *
   * @param bytes - what came, of any length; must not be changed afterwards
   * @returns the events that these bytes complete, in order
   */
  push(bytes: Uint8Array): SseMessage[] {
    // Only whole lines are decoded. A line feed is never part of a longer UTF-8 character,
    // so no character is cut, and no decoder has to keep state.
    const end = bytes.lastIndexOf(lineFeed) + 1;
    if (end === 0) {
      if (bytes.length > 0) this.#unfinishedLine.push(bytes);
      return [];
    }
    const text = this.#decodeLines(bytes, end);
    return this.#readLines(text);
  }

  #decodeLines(bytes: Uint8Array, end: number): string {
    let lines = bytes.subarray(0, end);
    if (this.#unfinishedLine.length > 0) {
      lines = Buffer.concat([...this.#unfinishedLine, lines]);
      this.#unfinishedLine = [];
    }
    if (end < bytes.length) this.#unfinishedLine.push(bytes.subarray(end));
    return Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength).toString("utf8");
  }

  /** Reads fields by their place in `text`: a string is cut out only for what the caller gets. */
  #readLines(text: string): SseMessage[] {
    const messages: SseMessage[] = [];
    let at = 0;
    if (!this.#started) {
      this.#started = true;
      if (text.startsWith("\uFEFF")) at = 1;
    }
    while (at < text.length) {
      const feed = text.indexOf("\n", at);
      const end = feed > at && text.charCodeAt(feed - 1) === carriageReturn ? feed - 1 : feed;
      if (end === at) {
        if (this.#data !== undefined) messages.push({ event: this.#event, data: this.#data });
        this.#event = "";
        this.#data = undefined;
      } else if (isField(text, at, end, "data")) {
        const line = fieldValue(text, at + 4, end);
        this.#data = this.#data === undefined ? line : `${this.#data}\n${line}`;
      } else if (isField(text, at, end, "event")) {
        this.#event = fieldValue(text, at + 5, end);
      }
      at = feed + 1;
    }
    return messages;
  }
}

function isField(text: string, at: number, end: number, name: string): boolean {
  if (!text.startsWith(name, at)) return false;
  const after = at + name.length;
  return after === end || text.charCodeAt(after) === colon;
}

function fieldValue(text: string, afterName: number, end: number): string {
  const start = text.charCodeAt(afterName + 1) === space ? afterName + 2 : afterName + 1;
  return start < end ? text.slice(start, end) : "";
}
