/**
 * The floor: the least that a server must do to stand between a client and the model. Plain `node:http` and
 * `undici`; it stores nothing and checks nothing, so what our server costs is what it takes beyond this.
 *
 *   PORT=7800 OPENAI_BASE_URL=http://127.0.0.1:9099/v1 node bench/floor.ts
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { StringDecoder } from "node:string_decoder";
import { Agent, type Dispatcher } from "undici";

interface RunRequest {
  message: string;
  stream?: boolean;
  session_id?: string;
  user_id?: string;
}

interface ModelResponse {
  output: { type: string; content?: { text?: string }[] }[];
}

const DELTA = "event: response.output_text.delta\n";
const COMPLETED = "event: response.completed\n";

const base = new URL(process.env.OPENAI_BASE_URL ?? "https://api.openai.com/v1");
const path = `${base.pathname.replace(/\/$/, "")}/responses`;
const headers = {
  "content-type": "application/json",
  authorization: `Bearer ${process.env.OPENAI_API_KEY ?? ""}`,
};

/** One connection a run under way, as many as there are runs, kept alive between them. */
const agent = new Agent({ pipelining: 1, keepAliveTimeout: 60_000, headersTimeout: 0, bodyTimeout: 0 });

function readBody(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => resolve(Buffer.concat(chunks).toString()));
    req.on("error", reject);
  });
}

function sendJson(res: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  res.writeHead(status, { "content-type": "application/json", "content-length": body.length }).end(body);
}

function askModel(message: string, stream: boolean): Dispatcher.DispatchOptions {
  const body = JSON.stringify({ model: "gpt-5.5", input: [{ role: "user", content: message }], stream });
  return { origin: base.origin, path, method: "POST", headers, body };
}

async function answer(run: RunRequest, res: ServerResponse): Promise<void> {
  const { statusCode, body } = await agent.request(askModel(run.message, false));
  const text = await body.text();
  if (statusCode !== 200) return sendJson(res, 502, { detail: text });
  const { output } = JSON.parse(text) as ModelResponse;
  const content = output.map((item) => item.content?.[0]?.text ?? "").join("");
  sendJson(res, 200, { run_id: randomUUID(), session_id: run.session_id, content, status: "completed" });
}

/** Streams the model's text to the client: a frame a delta, written as it comes, then `RunCompleted`. */
class StreamedRun implements Dispatcher.DispatchHandler {
  readonly #res: ServerResponse;
  readonly #id = randomUUID();
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";
  #content = "";
  #index = 0;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  onRequestStart(): void {}

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number): void {
    if (statusCode === 200) {
      this.#res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    } else {
      controller.abort(new Error(`the model answered ${statusCode}`));
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const text = this.#rest + this.#decoder.write(chunk);
    let ready = true;
    let from = 0;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n", from)) {
      if (text.startsWith(DELTA, from)) {
        const { delta } = JSON.parse(text.slice(from + DELTA.length + 6, end)) as { delta: string };
        this.#content += delta;
        ready = this.#send("RunContent", delta);
      } else if (text.startsWith(COMPLETED, from)) {
        ready = this.#send("RunCompleted", this.#content);
      }
      from = end + 2;
    }
    this.#rest = text.slice(from);
    if (ready) return;
    controller.pause();
    this.#res.once("drain", () => controller.resume());
  }

  onResponseEnd(): void {
    this.#res.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#res.headersSent) this.#res.destroy();
    else sendJson(this.#res, 502, { detail: error.message });
  }

  #send(event: string, content: string): boolean {
    const data = JSON.stringify({ event, run_id: this.#id, event_index: this.#index, content });
    return this.#res.write(`id: ${this.#index++}\nevent: ${event}\ndata: ${data}\n\n`);
  }
}

async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method === "GET" && req.url === "/health") return sendJson(res, 200, { status: "ok" });
  if (req.method !== "POST" || !/^\/agents\/[^/]+\/runs$/.test(req.url ?? "")) {
    return sendJson(res, 404, { detail: "Not Found" });
  }
  const run = JSON.parse(await readBody(req)) as RunRequest;
  if (run.stream === false) return answer(run, res);
  agent.dispatch(askModel(run.message, true), new StreamedRun(res));
}

createServer((req, res) => {
  handle(req, res).catch((error: Error) => {
    if (res.headersSent) res.destroy();
    else sendJson(res, 500, { detail: error.message });
  });
}).listen({ port: Number(process.env.PORT ?? 7800), host: "127.0.0.1", backlog: 4096 });
