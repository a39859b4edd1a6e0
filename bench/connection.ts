import { Client, type Dispatcher } from "undici";

/** How one run went, as its client saw it. */
export interface RunResult {
  /** Why it counts as failed; absent where all is well. */
  error?: string;
  /** From the request to the end of its answer. */
  ms: number;
  /** From the request to the first `RunContent` frame; `NaN` where none came. */
  ttftMs: number;
  /** `RunContent` frames that came. */
  chunks: number;
}

const MARK = "event: Run";
const CHUNK = "Content\n";
const END = "Completed\n";
const LONGEST = MARK.length + END.length;
const COMPLETED = /"status":\s*"completed"/i;

/**
 * One client of a server under load: a connection of its own, kept alive, one run at a time. Frames of a stream are
 * counted by their `event:` line; no JSON is parsed, so that the clients cost as little as they can of the machine
 * they share with what they measure.
 */
export class Connection {
  readonly #client: Client;
  readonly #path: string;

  constructor(url: string, agent: string) {
    this.#client = new Client(url, { pipelining: 1, keepAliveTimeout: 60_000, connectTimeout: 60_000 });
    this.#path = `/agents/${agent}/runs`;
  }

  /** Sends one run, `body` being its JSON, and reads its answer to the end. `token` goes with it. Never rejects. */
  run(body: string, streamed: boolean, token?: string): Promise<RunResult> {
    const { promise, resolve } = Promise.withResolvers<RunResult>();
    const handler = streamed ? new StreamReader(resolve) : new AnswerReader(resolve);
    const headers = {
      "content-type": "application/json",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    };
    this.#client.dispatch({ path: this.#path, method: "POST", headers, body }, handler);
    return promise;
  }

  async close(): Promise<void> {
    await this.#client.destroy();
  }
}

abstract class Reader implements Dispatcher.DispatchHandler {
  protected chunks = 0;
  protected ttftMs = Number.NaN;
  protected readonly started = performance.now();
  readonly #done: (result: RunResult) => void;
  #status = 0;

  constructor(done: (result: RunResult) => void) {
    this.#done = done;
  }

  protected abstract read(data: Buffer): void;
  /** What is wrong with the answer as a whole, if anything. */
  protected abstract verdict(): string | undefined;

  onRequestStart(): void {}

  onResponseStart(_: Dispatcher.DispatchController, statusCode: number): void {
    this.#status = statusCode;
  }

  onResponseData(_: Dispatcher.DispatchController, data: Buffer): void {
    this.read(data);
  }

  onResponseEnd(): void {
    this.#end(this.#status === 200 ? this.verdict() : `status ${this.#status}`);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    this.#end(error.code ?? error.message);
  }

  #end(error: string | undefined): void {
    const ms = performance.now() - this.started;
    const result: RunResult = { ms, ttftMs: this.ttftMs, chunks: this.chunks };
    this.#done(error === undefined ? result : { ...result, error });
  }
}

class AnswerReader extends Reader {
  #text = "";

  protected override read(data: Buffer): void {
    this.#text += data.toString("latin1");
  }

  protected override verdict(): string | undefined {
    return COMPLETED.test(this.#text) ? undefined : "the run is not completed";
  }
}

class StreamReader extends Reader {
  #rest = "";
  #completed = false;

  protected override read(data: Buffer): void {
    const text = this.#rest + data.toString("latin1");
    let from = 0;
    for (let at = text.indexOf(MARK); at >= 0; at = text.indexOf(MARK, at + 1)) {
      const name = at + MARK.length;
      if (text.startsWith(CHUNK, name)) {
        this.chunks++;
        from = name + CHUNK.length;
      } else if (text.startsWith(END, name)) {
        this.#completed = true;
        from = name + END.length;
      }
    }
    // What may be the beginning of a line that the next piece ends.
    this.#rest = text.slice(Math.max(from, text.length - LONGEST + 1));
    if (this.chunks > 0 && Number.isNaN(this.ttftMs)) this.ttftMs = performance.now() - this.started;
  }

  protected override verdict(): string | undefined {
    return this.#completed ? undefined : "the stream has no RunCompleted";
  }
}
