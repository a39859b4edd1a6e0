import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { OpenAIResponses } from "../../src/models/openai-responses.ts";

/** The key that models of `scriptedModel` have. */
export const apiKey = "sk-test-0123456789abcdef";

interface Provider {
  url: string;
  /** How many were made until now. */
  connections(): number;
  close(): Promise<void>;
}

/**
 * A model whose provider does exactly what a test says: for answers that the mock model does not give.
 * The provider ends with the test.
 */
export async function scriptedModel(
  handler: RequestListener,
  options: { timeout?: number } = {},
): Promise<{ model: OpenAIResponses; provider: Provider }> {
  const provider = await startProvider(handler);
  onTestFinished(provider.close);
  return { provider, model: new OpenAIResponses({ apiKey, baseUrl: provider.url, ...options }) };
}

async function startProvider(handler: RequestListener): Promise<Provider> {
  let connections = 0;
  const server = createServer(handler).on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers a stream of these events, each with its `type`. */
export function sendEvents(response: ServerResponse, events: readonly { type: string }[]): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(""));
}

/** Answers a body in JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
