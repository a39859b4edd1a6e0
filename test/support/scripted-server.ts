import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** A request as it arrived. */
export interface SeenRequest {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

type Answer = (response: ServerResponse, request: SeenRequest) => void;

/**
 * A server that does what a test says, request by request: for what a real one does only when something is wrong. It ends
 * with the test.
 *
 * @param answers - one for each request, in order; what comes after them is answered with 500
 */
export async function startScriptedServer(
  answers: readonly Answer[],
): Promise<{ url: string; requests: SeenRequest[] }> {
  const requests: SeenRequest[] = [];
  const server = createServer(async (incoming, response) => {
    let body = "";
    for await (const chunk of incoming.setEncoding("utf8")) body += chunk;
    const request: SeenRequest = {
      method: incoming.method ?? "",
      url: incoming.url ?? "",
      headers: incoming.headers,
      body,
    };
    const answer = answers[requests.length];
    requests.push(request);
    if (answer) answer(response, request);
    else response.writeHead(500).end("no answer is left");
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** An answer as JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (response) =>
    void response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify(body));
}

/** No answer: the connection is cut. */
export const cut: Answer = (response) => void response.destroy();

/**
 * Pieces of an event stream, each in a write of its own.
 *
 * @param isCut - whether the connection is cut after them, instead of ended
 */
export function stream(pieces: readonly (string | Uint8Array)[], isCut = false): Answer {
  return (response) => {
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    const next = (i: number) => {
      const piece = pieces[i];
      if (piece !== undefined) response.write(piece, () => setImmediate(next, i + 1));
      else if (isCut) response.destroy();
      else response.end();
    };
    next(0);
  };
}

/** The frame of an event. */
export function frame(index: number, event = "RunContent", more: object = {}): string {
  const data = { event, event_index: index, run_id: "run_1", session_id: "s", content: `${index} `, ...more };
  return `id: ${index}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
