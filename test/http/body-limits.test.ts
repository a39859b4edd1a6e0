import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ os: { maxJsonBytes: 10_000, maxUploadBytes: 100_000 } });
});
afterAll(() => server.close());

const types = {
  json: "application/json",
  urlencoded: "application/x-www-form-urlencoded",
  multipart: "multipart/form-data; boundary=X",
};

function bodyOf(kind: keyof typeof types, size: number): string {
  if (kind === "json") return `{"stream":false,"message":"${"m".repeat(size - 29)}"}`;
  if (kind === "urlencoded") return `stream=false&message=${"m".repeat(size - 21)}`;
  const head =
    '--X\r\ncontent-disposition: form-data; name="stream"\r\n\r\nfalse\r\n' +
    '--X\r\ncontent-disposition: form-data; name="message"\r\n\r\nhi\r\n' +
    '--X\r\ncontent-disposition: form-data; name="files"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\n';
  return `${head}${"f".repeat(size - head.length - 9)}\r\n--X--\r\n`;
}

/** Sends a body with or without saying how long it is. */
function send(kind: keyof typeof types, body: string, chunked: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: {
        "content-type": types[kind],
        ...(chunked ? { "transfer-encoding": "chunked" } : { "content-length": Buffer.byteLength(body) }),
      },
    });
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    for (let at = 0; at < body.length; at += 4096) outgoing.write(body.slice(at, at + 4096));
    outgoing.end();
  });
}

const limits = { json: 10_000, urlencoded: 10_000, multipart: 100_000 };

test.each(
  Object.entries(limits).flatMap(([kind, limit]) =>
    [true, false].map(
      (chunked) => [kind as keyof typeof types, chunked ? "unknown" : "known", limit] as const,
    ),
  ),
)("a %s body of %s length may have %i bytes and not one more", async (kind, length, limit) => {
  const chunked = length === "unknown";
  expect(Buffer.byteLength(bodyOf(kind, limit))).toBe(limit);
  expect(await send(kind, bodyOf(kind, limit), chunked)).toBe(200);
  expect(await send(kind, bodyOf(kind, limit + 1), chunked)).toBe(413);
});

test("a body far over the limit is 413 for a client that sends all of it first", async () => {
  for (const chunked of [true, false]) {
    expect(await send("json", bodyOf("json", 5_000_000), chunked)).toBe(413);
  }
});

test("a text of a form has the limit of JSON", async () => {
  const form = new FormData();
  form.set("message", "m".repeat(20_000));
  form.set("stream", "false");
  const answer = await fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: form });
  expect(answer.status).toBe(413);
  expect(await answer.json()).toMatchObject({
    detail: expect.stringContaining("10000"),
    request_id: expect.any(String),
  });
});

test("without options a body may have 1 MiB of JSON and no more", async () => {
  const usual = await startServer();
  const post = (size: number) =>
    fetch(`${usual.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": types.json },
      body: bodyOf("json", size),
    });
  expect((await post(1024 ** 2)).status).toBe(200);
  expect((await post(1024 ** 2 + 1)).status).toBe(413);
  await usual.close();
});
