import { afterEach, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;
afterEach(() => server.close());

const allowed = (response: Response) => response.headers.get("access-control-allow-origin");
const from = (origin: string, init: RequestInit = {}) => ({
  ...init,
  headers: { ...(init.headers as Record<string, string>), origin },
});

describe("without options", () => {
  test.each(["http://localhost", "http://localhost:3000", "https://localhost:8443", "http://127.0.0.1:5173"])(
    "a page of %s may read answers",
    async (origin) => {
      server = await startServer();
      expect(allowed(await fetch(`${server.url}/agents`, from(origin)))).toBe(origin);
    },
  );

  test.each([
    "https://evil.example",
    "http://localhost.evil.example",
    "http://evil.example/?http://localhost",
    "http://127.0.0.1.nip.io",
    "http://localhost:3000@evil.example",
    "null",
  ])("a page of %s may not", async (origin) => {
    server = await startServer();
    expect(allowed(await fetch(`${server.url}/agents`, from(origin)))).toBe(null);
  });
});

test("a page of a listed origin may read answers, and then pages of this machine may not", async () => {
  server = await startServer({ os: { corsOrigins: ["https://app.acme.com"] } });
  expect(allowed(await fetch(`${server.url}/agents`, from("https://app.acme.com")))).toBe(
    "https://app.acme.com",
  );
  expect(allowed(await fetch(`${server.url}/agents`, from("http://localhost:3000")))).toBe(null);
});

test("with * every page may read answers", async () => {
  server = await startServer({ os: { corsOrigins: ["*"] } });
  expect(allowed(await fetch(`${server.url}/agents`, from("https://anywhere.example")))).toBe("*");
});

test("errors carry the headers too, so that a page learns what was wrong", async () => {
  server = await startServer();
  const origin = "http://localhost:3000";
  const json = { "content-type": "application/json" };
  for (const [path, init, status] of [
    ["/nothing", {}, 404],
    ["/agents/nobody", {}, 404],
    ["/agents", { method: "DELETE" }, 405],
    ["/agents/copilot/runs", { method: "POST", headers: json, body: "{}" }, 422],
    ["/agents/copilot/runs", { method: "POST", body: "text" }, 415],
    ["/agents/copilot/runs", { method: "POST", headers: json, body: " ".repeat(1024 ** 2 + 1) }, 413],
  ] as const) {
    const answer = await fetch(server.url + path, from(origin, init));
    expect([path, answer.status, allowed(answer)]).toEqual([path, status, origin]);
    expect(answer.headers.get("access-control-expose-headers")).toContain("X-Request-Id");
    expect((await answer.json()).request_id).toBe(answer.headers.get("x-request-id"));
  }
});

test("a stream carries them", async () => {
  server = await startServer();
  const answer = await fetch(
    `${server.url}/agents/copilot/runs`,
    from("http://localhost:3000", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"message":"hi"}',
    }),
  );
  expect(allowed(answer)).toBe("http://localhost:3000");
  expect(answer.headers.get("cache-control")).toContain("no-cache");
  expect(answer.headers.get("cache-control")).toContain("no-transform");
  expect(answer.headers.get("x-accel-buffering")).toBe("no");
  await answer.text();
});

test("a preflight says what a page may send", async () => {
  server = await startServer();
  const answer = await fetch(
    `${server.url}/agents/copilot/runs`,
    from("http://localhost:3000", {
      method: "OPTIONS",
      headers: {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,last-event-id",
      },
    }),
  );
  expect(answer.status).toBe(204);
  expect(allowed(answer)).toBe("http://localhost:3000");
  expect(answer.headers.get("access-control-allow-methods")).toContain("POST");
  expect(answer.headers.get("access-control-allow-headers")?.toLowerCase()).toContain("last-event-id");
  expect(answer.headers.get("vary")).toContain("Origin");
});

test("what was loaded without an origin is not taken from a cache for a page", async () => {
  server = await startServer();
  const form = new FormData();
  form.set("message", "hi");
  form.set("stream", "false");
  form.set("files", new File(["notes"], "notes.txt", { type: "text/plain" }));
  const run = await (await fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: form })).json();
  for (const path of [`/media/${run.input.files[0].id}`, "/agents", "/docs/swagger-ui.css", "/nothing"]) {
    const vary = (await fetch(server.url + path)).headers.get("vary");
    expect([path, vary]).toEqual([path, "Origin"]);
  }
});

test("a custom route's own Vary is kept beside ours", async () => {
  server = await startServer();
  server.os.getApp().get("/page", (c) => c.text("hi", 200, { vary: "Accept-Language" }));
  for (const headers of [{}, { origin: "http://localhost:3000" }]) {
    const vary = (await fetch(`${server.url}/page`, { headers })).headers.get("vary");
    expect(vary).toBe("Accept-Language, Origin");
  }
});

test("with * every answer may be read, whoever it was loaded for", async () => {
  server = await startServer({ os: { corsOrigins: ["*"] } });
  for (const path of ["/agents", "/nothing"]) {
    const answer = await fetch(server.url + path);
    expect([path, allowed(answer), answer.headers.get("vary")]).toEqual([path, "*", null]);
  }
});

test("answers that differ by origin say so to caches", async () => {
  server = await startServer();
  expect((await fetch(`${server.url}/agents`, from("http://localhost:3000"))).headers.get("vary")).toContain(
    "Origin",
  );
});
