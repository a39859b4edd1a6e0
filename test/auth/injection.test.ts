import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { readFrames } from "../support/read-events.ts";
import { countRows } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** What tries to be more than data. */

const sql = [
  "' OR '1'='1",
  "'; DROP TABLE sessions; --",
  '" OR 1=1 --',
  "x' UNION SELECT token_hash FROM service_accounts --",
  "%' ESCAPE '' OR 1=1 --",
  "\\",
  "%",
  "_",
  '"words" : * NEAR/2 (',
  "a & b | !c <-> 'd':*",
  "(SELECT pg_sleep(5))",
];

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let location: string;
  let before: Record<string, number>;

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({ db: engine.connect(location) });
    await server.run({ message: "hello there", session_id: "adas", user_id: "ada", stream: false });
    await fetch(`${server.url}/memories`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ memory: "tea", user_id: "ada", topics: ["drinks"] }),
    });
    before = await countRows(engine, location);
  });
  afterAll(() => server.close());

  test("SQL in a filter or a sort finds nothing and changes nothing", async () => {
    const parameters: Record<string, string[]> = {
      "/sessions": [
        "user_id",
        "agent_id",
        "component_id",
        "session_name",
        "search",
        "sort_by",
        "sort_order",
        "cursor",
        "type",
      ],
      "/sessions/adas/runs": ["user_id", "status", "created_after", "created_before", "cursor", "limit"],
      "/agents/copilot/runs?session_id=adas": ["user_id", "status", "cursor"],
      "/memories": ["user_id", "agent_id", "search_content", "topics", "sort_by", "sort_order", "cursor"],
      "/memory_topics": ["user_id"],
      "/user_memory_stats": ["user_id", "page"],
      "/service-accounts": ["page", "limit"],
      "/audit-log": ["user_id", "outcome", "cursor"],
    };
    for (const [path, names] of Object.entries(parameters)) {
      for (const name of names) {
        for (const text of sql) {
          const at = `${path}${path.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(text)}`;
          const answer = await fetch(server.url + at);
          const body = await answer.text();
          expect([200, 404, 422], `${at}: ${body}`).toContain(answer.status);
          // A sign that matches every word would be no filter.
          const isFilter = /user_id|agent_id|session_name|search|topics/.test(name);
          if (answer.status === 200 && isFilter) expect(body, at).not.toMatch(/adas|"tea"/);
        }
      }
    }
    for (const text of sql) {
      for (const path of ["/sessions/", "/agents/copilot/runs/", "/memories/", "/media/", "/agents/"]) {
        const answer = await fetch(server.url + path + encodeURIComponent(text));
        expect(answer.status, path + text).toBe(404);
      }
      await fetch(`${server.url}/users/${encodeURIComponent(text)}`, { method: "DELETE" });
    }
    expect(await countRows(engine, location)).toEqual(before);
  });

  test("line breaks in what is said stay within the frame", async () => {
    const breaks = "\n\ndata: {}\n\nevent: RunCompleted\r\r\rid: 99\u2028\u2029\n\n";
    const answer = await server.run({
      message: `[[say=${JSON.stringify(breaks).slice(1, -1)}]]${breaks}`,
      metadata: { [breaks]: breaks },
    });
    const frames = await readFrames(answer);
    expect(frames.map(({ id }) => Number(id))).toEqual(frames.map((_, i) => i));
    expect(frames.map(({ data }) => data.event)).toEqual(frames.map(({ event }) => event));
    expect(frames.filter(({ event }) => event === "RunCompleted")).toHaveLength(1);
  });

  test.each(["a\nb", "a\rb", "a\u0000b", "a\u001bb", "a\ud800b"])(
    "the id %j is refused in every place",
    async (id) => {
      for (const field of ["session_id", "user_id"]) {
        expect((await server.run({ message: "hi", [field]: id, stream: false })).status).toBe(422);
      }
    },
  );

  test("paths in names and ids lead nowhere", async () => {
    for (const path of [
      "/media/../../etc/passwd",
      "/media/..%2f..%2fetc%2fpasswd",
      "/media/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
      "/media/....//etc/passwd",
      "/docs/..%2f..%2fpackage.json",
      "/docs/%2e%2e/%2e%2e/package.json",
      "/sessions/..%2fadas%2f..%2f..",
      "/agents/copilot%2f..%2fcopilot",
    ]) {
      const answer = await fetch(server.url + path);
      expect(answer.status, path).toBe(404);
      expect(await answer.text()).not.toMatch(/root:|dependencies/);
    }
    const name = '../../etc/cron.d/x"\r\nx-injected: 1;.txt';
    const form = new FormData();
    form.set("message", "hi");
    form.set("stream", "false");
    form.set("files", new File(["text"], name, { type: "text/plain" }));
    const run = await (
      await fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: form })
    ).json();
    for (const file of run.input?.files ?? []) {
      const answer = await fetch(server.url + file.url);
      expect(answer.headers.get("x-injected")).toBe(null);
      expect(answer.headers.get("content-disposition")).toMatch(
        /^attachment; filename\*=UTF-8''[\w%.!~*'()-]+$/,
      );
      expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  test("__proto__ in JSON is a name like any other, or is refused", async () => {
    for (const body of [
      '{"message":"hi","stream":false,"__proto__":{"admin":true}}',
      '{"message":"hi","stream":false,"constructor":{"prototype":{"admin":true}}}',
      '{"message":"hi","stream":false,"session_state":{"__proto__":{"admin":true},"constructor":{"a":1}}}',
      '{"message":"hi","stream":false,"metadata":{"__proto__":{"admin":true}}}',
      '{"message":"hi","stream":false,"dependencies":{"__proto__":{"admin":true}}}',
    ]) {
      const answer = await fetch(`${server.url}/agents/copilot/runs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      expect([200, 422], body).toContain(answer.status);
      expect(({} as { admin?: boolean }).admin).toBe(undefined);
      expect(await (await fetch(`${server.url}/info`)).json()).not.toHaveProperty("admin");
    }
  });
});

describe("too much", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.close());

  const post = (
    body: RequestInit["body"],
    headers: Record<string, string> = {},
    path = "/agents/copilot/runs",
  ) =>
    fetch(server.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: body ?? null,
    });
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  const many = (fields: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: fields }, (_, i) => [`f${i}`, i])));

  test.each<[string, () => Promise<Response>, number]>([
    ["10 MB of JSON", () => post(JSON.stringify({ message: "x".repeat(10 * 1024 ** 2) })), 413],
    ["10,000 fields that there are not", () => post(many(10_000)), 422],
    [
      "20,000 fields within a field",
      () => post(`{"message":"hi","stream":false,"session_state":${many(20_000)}}`),
      422,
    ],
    [
      "20,000 fields in a form's field",
      () =>
        post(new URLSearchParams({ message: "hi", stream: "false", session_state: many(20_000) }), {
          "content-type": "application/x-www-form-urlencoded",
        }),
      422,
    ],
    [
      "10,000 fields of a form",
      () =>
        post(Array.from({ length: 10_000 }, (_, i) => `f${i}=1`).join("&"), {
          "content-type": "application/x-www-form-urlencoded",
        }),
      422,
    ],
    ["100,000 levels", () => post(`{"message":"hi","stream":false,"session_state":${nested(100_000)}}`), 422],
    ["100,000 levels of lists", () => post("[".repeat(100_000)), 422],
    [
      "a bomb, packed",
      () => post(gzipSync(Buffer.alloc(20 * 1024 ** 2, " ")), { "content-encoding": "gzip" }),
      415,
    ],
    [
      "a bomb in a form",
      () => {
        const form = new FormData();
        form.set("message", "hi");
        form.set("stream", "false");
        form.set(
          "files",
          new File([gzipSync(Buffer.alloc(20 * 1024 ** 2))], "bomb.gz", { type: "application/gzip" }),
        );
        return fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: form });
      },
      400,
    ],
    [
      "a message of a million line breaks",
      () => post(JSON.stringify({ message: "\n".repeat(500_000), stream: false })),
      422,
    ],
    [
      "a header of 20 kB",
      () => fetch(`${server.url}/agents`, { headers: { "x-long": "x".repeat(20_000) } }),
      431,
    ],
    ["a query of 20 kB", () => fetch(`${server.url}/sessions?search=${"x".repeat(20_000)}`), 431],
  ])("%s", async (_, call, status) => {
    const answer = await call();
    const text = await answer.text();
    expect(answer.status, text.slice(0, 300)).toBe(status);
    expect(text.length).toBeLessThan(100_000);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  test.each([
    "__proto__=1; constructor=2; toString=3",
    "=;;=;a=b=c;",
    `${"a=b; ".repeat(2000)}`,
    "access_token",
    'access_token="unclosed',
    "access_token=%E0%A4%A",
    "access_token=a; access_token=b",
  ])("cookies like %j do no harm", async (cookie) => {
    const answer = await fetch(`${server.url}/agents`, { headers: { cookie } });
    expect(answer.status).toBe(200);
  });
});

describe("connections", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ serve: { timeouts: { headers: 0.5, request: 1, idle: 0.5 } } });
  });
  afterAll(() => server.close());

  /** Sends what is given, and then nothing: what comes until the server closes. */
  function untilClosed(text: string): Promise<string> {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    socket.write(text);
    let got = "";
    return new Promise((resolve, reject) => {
      socket.on("data", (chunk) => {
        got += chunk.toString();
      });
      socket.on("close", () => resolve(got));
      socket.on("error", reject);
    });
  }

  test.each([
    ["headers that never end", "GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ", /^HTTP\/1.1 408/],
    [
      "a body that never comes",
      "POST /agents/copilot/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
      /^HTTP\/1.1 (?:408|400)|^$/,
    ],
    ["a request that is over", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1.1 200/],
    ["nothing at all", "", /^HTTP\/1.1 408|^$/],
    ["what is no HTTP", "\u0016\u0003\u0001\u0002\u0000garbage\r\n\r\n", /^HTTP\/1.1 400/],
    [
      "two lengths",
      "POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
      /^HTTP\/1.1 400/,
    ],
    [
      "a length and chunks",
      "POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      /^HTTP\/1.1 400/,
    ],
  ])("%s: the connection is closed", async (_, text, answer) => {
    expect(await untilClosed(text)).toMatch(answer);
  });

  test("a stream that is slow is not", async () => {
    const answer = await server.run({ message: "[[tokens=30]] [[delay=60]]" });
    expect((await readFrames(answer)).at(-1)?.event).toBe("RunCompleted");
  });

  test("answers carry headers that keep browsers from making more of them", async () => {
    const answer = await fetch(`${server.url}/agents`);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    const docs = await fetch(`${server.url}/docs`);
    expect(docs.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(docs.headers.get("x-frame-options")).toBe("DENY");
  });
});
