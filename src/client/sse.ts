/**
 * Takes an event stream apart as it comes, in pieces of any length. A frame that was cut off is not given. Of a frame its
 * data is enough: an event carries its name, its index and its run's id.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class SseParser {
  /** The stream's last `retry:`, in milliseconds. */
  retry: number | undefined;
  #rest = "";
  #endedInReturn = false;
  #data: string[] = [];

  /** The data of the frames that a piece of text completes. */
  push(text: string): string[] {
    if (text === "") return [];
    // Both halves of a line's end count as one, also where they come apart.
    if (this.#endedInReturn && text.startsWith("\n")) text = text.slice(1);
    this.#endedInReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop() ?? "";
    const frames: string[] = [];
    for (const line of lines) {
      if (line !== "") this.#take(line);
      else if (this.#data.length > 0) {
        frames.push(this.#data.join("\n"));
        this.#data = [];
      }
    }
    return frames;
  }

  #take(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
