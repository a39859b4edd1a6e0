/**
 * A stand-in for OpenAI: `POST /v1/responses` and `POST /v1/chat/completions`, streamed or not.
 * Runs alone, too: `node test/support/mock-model.ts [PORT]`.
 *
 * Directives in the last user message decide what it does; all others it echoes.
 *
 * | directive | does |
 * |---|---|
 * | `[[tokens=200]]` | answers 200 words |
 * | `[[say=TEXT]]` | answers that text |
 * | `[[tool=NAME {"a":1}]]` | calls a tool first; several call several in one turn |
 * | `[[reason=TEXT]]` | shows that as reasoning first (not in chat completions) |
 * | `[[ttft=50]]`, `[[delay=5]]` | waits that many ms before the first piece, before each |
 * | `[[drop=10]]` | cuts the connection after 10 pieces of a stream |
 * | `[[error=429]]` | answers that status; with `[[code=…]]` that code, with `[[after=3]]` that `retry-after` |
 * | `[[errors=2:503]]` | answers 503 to the first 2 requests with this message |
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { isJsonObject, type JsonObject } from "../../src/events/json.ts";
import { chatCompletion, chatFrames, type Frames, responseFrames, wholeResponse } from "./mock-answers.ts";
import { type Plan, planFor } from "./mock-directives.ts";

/** A request that the mock model got. */
export interface MockRequest {
  /** Such as `POST /v1/responses`. */
  route: string;
  body: JsonObject;
}

export interface MockModel {
  /** What to give as base URL. */
  url: string;
  /** What was asked, newest last; the last 1,000. */
  requests: MockRequest[];
  close(): Promise<void>;
}

const remembered = 1000;

/**
 * Starts a mock model.
 *
 * @param options - `port`: where to listen; any free one without
 * @example
 * const mock = await startMockModel();
 * const model = new OpenAIResponses({ baseUrl: mock.url, apiKey: "test" });
 */
export async function startMockModel(options: { port?: number } = {}): Promise<MockModel> {
  const requests: MockRequest[] = [];
  const failures = new Map<string, number>();
  const server = createServer((request, response) => {
    response.on("error", () => {});
    void handle(request, response, requests, failures).catch((error) => response.destroy(error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  requests: MockRequest[],
  failures: Map<string, number>,
): Promise<void> {
  const route = `${request.method} ${request.url?.split("?")[0]}`;
  const isChat = route === "POST /v1/chat/completions";
  if (!isChat && route !== "POST /v1/responses") return fail(response, 404, `no route ${route}`);
  const body = await readJson(request);
  if (!body) return fail(response, 400, "the body is not a JSON object");
  requests.push({ route, body });
  if (requests.length > remembered) requests.shift();

  const plan = planFor(itemsOf(isChat ? body.messages : body.input));
  if (plan.error) return fail(response, plan.error.status, undefined, plan.error);
  if (plan.errors) {
    const failed = failures.get(plan.message) ?? 0;
    failures.set(plan.message, failed + 1);
    if (failed < plan.errors.count) return fail(response, plan.errors.status);
  }
  if (body.stream === true) {
    return stream(response, plan, isChat ? chatFrames(plan, body) : responseFrames(plan, body));
  }
  const pause = plan.ttft + plan.delay * plan.words.length;
  if (pause > 0) await sleep(pause);
  answerJson(response, 200, isChat ? chatCompletion(plan, body) : wholeResponse(plan, body));
}

function itemsOf(input: unknown): JsonObject[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  return Array.isArray(input) ? input.filter(isJsonObject) : [];
}

async function readJson(request: IncomingMessage): Promise<JsonObject | undefined> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    return isJsonObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** Without pauses all goes out in one write: benchmarks measure who reads it, not this. */
async function stream(response: ServerResponse, plan: Plan, { head, pieces, tail }: Frames): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const sent = pieces.slice(0, plan.drop);
  const isCut = sent.length < pieces.length;
  if (plan.ttft === 0 && plan.delay === 0 && !isCut) {
    response.end(head + sent.join("") + tail);
    return;
  }
  response.write(head);
  if (plan.ttft > 0) await sleep(plan.ttft);
  for (const piece of sent) {
    if (plan.delay > 0) await sleep(plan.delay);
    if (response.destroyed) return;
    response.write(piece);
  }
  if (isCut) response.write("", () => response.destroy());
  else response.end(tail);
}

function fail(
  response: ServerResponse,
  status: number,
  message = `mock error ${status}`,
  { code, after }: { code: string; after?: string } = { code: "mock" },
): void {
  if (after !== undefined) response.setHeader("retry-after", after);
  answerJson(response, status, { error: { message, type: "server_error", code } });
}

function answerJson(response: ServerResponse, status: number, body: JsonObject): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

if (process.argv[1] === import.meta.filename) {
  const { url } = await startMockModel({ port: Number(process.argv[2] ?? 9099) });
  console.log(`The mock model listens on ${url}`);
}
