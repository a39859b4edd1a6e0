import { request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const routes: Record<string, string[]> = {
  "/": ["GET"],
  "/health": ["GET"],
  "/readyz": ["GET"],
  "/info": ["GET"],
  "/config": ["GET"],
  "/openapi.json": ["GET"],
  "/docs": ["GET"],
  "/agents": ["GET"],
  "/teams": ["GET"],
  "/workflows": ["GET"],
  "/agents/copilot": ["GET"],
  "/agents/copilot/runs": ["GET", "POST"],
  "/agents/copilot/runs/run_1": ["GET"],
  "/agents/copilot/runs/run_1/resume": ["GET", "POST"],
  "/agents/copilot/runs/run_1/cancel": ["POST"],
  "/media/m": ["GET"],
};

/** Sends what `fetch` would not. */
function send(
  method: string,
  path: string,
): Promise<{ status: number; allow: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(server.url + path, { method }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, allow: response.headers.allow, body }),
      );
    });
    outgoing.once("error", reject);
    outgoing.end();
  });
}

describe.each(Object.entries(routes))("%s", (path, allowed) => {
  const others = ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE"].filter(
    (m) => !allowed.includes(m),
  );

  test.each(others)("%s is 405 and Allow names what is taken", async (method) => {
    const { status, allow, body } = await send(method, path);
    expect(status).toBe(405);
    expect(allow?.split(", ").toSorted()).toEqual(allowed);
    expect(JSON.parse(body)).toMatchObject({ detail: expect.any(String), request_id: expect.any(String) });
  });

  test("HEAD answers as GET does, without a body", async () => {
    const [head, get] = [await send("HEAD", path), await send("GET", path)];
    expect([head.status, head.body]).toEqual([get.status, ""]);
  });
});

test.each([
  "/nothing",
  "/agents/copilot/nothing",
  "/agents/copilot/runs/r/nothing",
  "//",
  "/%",
  "/%E0%A4%A",
  "/a?%",
])("GET %s is 404 in the shape of every error", async (path) => {
  const { status, body } = await send("GET", path);
  expect(status).toBe(404);
  expect(JSON.parse(body)).toMatchObject({ detail: expect.any(String), request_id: expect.any(String) });
});

test("a GET may carry a JSON content type and no body", async () => {
  const answer = await fetch(`${server.url}/agents`, { headers: { "content-type": "application/json" } });
  expect(answer.status).toBe(200);
});

test.each([
  "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n",
  "GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  "GET /\u0000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  "nonsense\r\n\r\n",
])("the raw request %j makes no 5xx and does not end the server", async (raw) => {
  const status = await new Promise<number>((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => socket.write(raw));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1] ?? 0)));
  });
  expect(status).toBeLessThan(500);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});
