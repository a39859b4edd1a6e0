import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { countRows } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

const json = { "content-type": "application/json" };
const urlencoded = { "content-type": "application/x-www-form-urlencoded" };
const multipart = { "content-type": "multipart/form-data; boundary=X" };
const part = (name: string, value: string) =>
  `--X\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (field: string, filename: string, type: string, text: string) =>
  `--X\r\ncontent-disposition: form-data; name="${field}"; filename="${filename}"\r\ncontent-type: ${type}\r\n\r\n${text}\r\n`;
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

/** What a caller may get wrong: the headers, the body, the status, and what the answer names. */
const wrong: Record<string, [Record<string, string>, string, number[], string]> = {
  "no message": [json, "{}", [422], "message"],
  "an empty message": [json, '{"message":""}', [422], "message"],
  "a message of null": [json, '{"message":null}', [422], "message"],
  "a message that is a number": [json, '{"message":5}', [422], "message"],
  "a message that is a list": [json, '{"message":["hi"]}', [422], "message"],
  "an unknown field": [json, '{"message":"hi","temprature":1}', [422], "temprature"],
  "a field named __proto__": [json, '{"message":"hi","__proto__":{"stream":false}}', [422], "__proto__"],
  "a field named constructor": [json, '{"message":"hi","constructor":{"x":1}}', [422], "constructor"],
  "a form field named __proto__": [urlencoded, "message=hi&__proto__=1", [422], "__proto__"],
  "a form part named __proto__": [
    multipart,
    `${part("message", "hi")}${part("__proto__", "1")}--X--\r\n`,
    [422],
    "__proto__",
  ],
  "a stream that is no boolean": [json, '{"message":"hi","stream":"maybe"}', [422], "stream"],
  "a stream that is no boolean, in a form": [urlencoded, "message=hi&stream=maybe", [422], "stream"],
  "a user that is a number": [json, '{"message":"hi","user_id":5}', [422], "user_id"],
  "a session that is an object": [json, '{"message":"hi","session_id":{}}', [422], "session_id"],
  "a session id of 256 characters": [
    json,
    JSON.stringify({ message: "hi", session_id: "s".repeat(256) }),
    [422],
    "session_id",
  ],
  "a session id with NUL": [json, '{"message":"hi","session_id":"a\\u0000b"}', [422], "session_id"],
  "a session id with a line break": [json, '{"message":"hi","session_id":"a\\nb"}', [422], "session_id"],
  "a user id with half of a pair": [json, '{"message":"hi","user_id":"\\ud800"}', [422], "user_id"],
  "session_state that is a text": [json, '{"message":"hi","session_state":"x"}', [422], "session_state"],
  "session_state that is a list": [json, '{"message":"hi","session_state":[1]}', [422], "session_state"],
  "session_state that is broken, in a form": [
    urlencoded,
    "message=hi&session_state=%7B",
    [422],
    "session_state",
  ],
  "dependencies that are a list": [json, '{"message":"hi","dependencies":[]}', [422], "dependencies"],
  "output_schema that is no object": [json, '{"message":"hi","output_schema":5}', [422], "output_schema"],
  "output_schema of a list": [
    json,
    '{"message":"hi","output_schema":{"type":"array"}}',
    [422],
    "output_schema",
  ],
  "output_schema of an unknown type": [
    json,
    '{"message":"hi","output_schema":{"properties":{"a":{"type":"x"}}}}',
    [422],
    "output_schema",
  ],
  "output_schema with a broken pattern": [
    json,
    '{"message":"hi","output_schema":{"properties":{"a":{"type":"string","pattern":"("}}}}',
    [422],
    "output_schema",
  ],
  "metadata that is a text": [json, '{"message":"hi","metadata":"x"}', [400, 422], "metadata"],
  "metadata that is very deep": [json, `{"message":"hi","metadata":${deep(100_000)}}`, [422], "body"],
  "session_state that is very deep": [
    json,
    `{"message":"hi","session_state":${deep(100_000)}}`,
    [422],
    "body",
  ],
  "output_schema that is very deep": [
    json,
    `{"message":"hi","output_schema":${deep(100_000)}}`,
    [422],
    "body",
  ],
  "an unknown field that is very deep": [json, `{"message":"hi","x":${deep(100_000)}}`, [422], "body"],
  "a form's metadata that is very deep": [
    urlencoded,
    `message=hi&metadata=${encodeURIComponent(deep(50_000))}`,
    [400],
    "metadata",
  ],
  "lists that are very deep": [json, `${"[".repeat(400_000)}${"]".repeat(400_000)}`, [422], "body"],
  background: [json, '{"message":"hi","background":true}', [422], "background"],
  "background in a form": [urlencoded, "message=hi&background=true", [422], "background"],
  "broken JSON": [json, '{"message":"hi"', [422], "JSON"],
  "no JSON at all": [json, "", [422], "JSON"],
  "JSON that is null": [json, "null", [422], "body"],
  "JSON that is a text": [json, '"hi"', [422], "body"],
  "JSON that is a list": [json, "[]", [422], "body"],
  "a multipart body without a boundary": [
    { "content-type": "multipart/form-data" },
    part("message", "hi"),
    [422],
    "Boundary",
  ],
  "an empty multipart body": [multipart, "", [422], "body"],
  "a multipart body with no part": [multipart, "--X--\r\n", [422], "message"],
  "a multipart body of another boundary": [multipart, "--Y\r\n\r\n--Y--\r\n", [422], "body"],
  "a multipart body that is cut off in a field": [
    multipart,
    part("message", "hi").slice(0, -4),
    [422],
    "multipart",
  ],
  "a multipart body that is cut off in a file": [
    multipart,
    `${part("message", "hi")}${file("files", "a.txt", "text/plain", "abc").slice(0, -3)}`,
    [422],
    "multipart",
  ],
  "a multipart body that is cut off in a header": [multipart, "--X\r\ncontent-dispo", [422], "multipart"],
  "a multipart body without its end": [multipart, part("message", "hi"), [422], "multipart"],
  "more fields than a form may have": [
    multipart,
    `${part("message", "hi")}${part("x", "1").repeat(200)}--X--\r\n`,
    [422],
    "more than",
  ],
  "more files than a form may have": [
    multipart,
    `${part("message", "hi")}${file("files", "a.txt", "text/plain", "a").repeat(60)}--X--\r\n`,
    [422],
    "more than",
  ],
  "more urlencoded fields than are known": [urlencoded, `message=hi&${"x=1&".repeat(20_000)}`, [422], "x"],
  "a file under another name": [
    multipart,
    `${part("message", "hi")}${file("upload", "a.txt", "text/plain", "a")}--X--\r\n`,
    [422],
    "upload",
  ],
  "a file of a type that is not taken": [
    multipart,
    `${part("message", "hi")}${file("files", "a.exe", "application/x-msdownload", "MZ")}--X--\r\n`,
    [400, 422],
    "a.exe",
  ],
  "an empty file": [
    multipart,
    `${part("message", "hi")}${file("files", "a.txt", "text/plain", "")}--X--\r\n`,
    [400, 422],
    "a.txt",
  ],
  "a file without a message": [
    multipart,
    `${file("files", "a.txt", "text/plain", "a")}--X--\r\n`,
    [422],
    "message",
  ],
  "a content type that is not taken": [{ "content-type": "text/plain" }, "hi", [415], "text/plain"],
  XML: [{ "content-type": "application/xml" }, "<message/>", [415], "application/xml"],
  "a content type that is none": [{ "content-type": ";;;" }, "hi", [415], "content type"],
};

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let location: string;
  let before: Record<string, number>;

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({ db: engine.connect(location) });
    await server.run({ message: "one run", session_id: "adas", user_id: "ada", stream: false });
    before = await countRows(engine, location);
  });
  afterAll(() => server.close());

  const post = (headers: Record<string, string>, body: RequestInit["body"], agent = "copilot") =>
    fetch(`${server.url}/agents/${agent}/runs`, { method: "POST", headers, body: body ?? null });

  test.each(Object.entries(wrong))(
    "%s is refused, named, and leaves nothing behind",
    async (_, [headers, body, statuses, named]) => {
      const answer = await post(headers, body);
      expect(statuses).toContain(answer.status);
      expect(answer.headers.get("content-type")).toContain("application/json");
      const { detail, request_id } = await answer.json();
      expect(request_id).toEqual(expect.any(String));
      expect(JSON.stringify(detail)).toContain(named);
      expect(JSON.stringify(detail)).not.toMatch(/at .*\.[jt]s/);
      expect(await countRows(engine, location)).toEqual(before);
    },
  );

  test("no content type is refused, and leaves nothing behind", async () => {
    const answer = await post({}, new TextEncoder().encode('{"message":"hi"}'));
    expect(answer.status).toBe(415);
    expect(await countRows(engine, location)).toEqual(before);
  });

  test("an Idempotency-Key is refused as long as it would have no effect", async () => {
    const answer = await post({ ...json, "idempotency-key": "k" }, '{"message":"hi"}');
    expect(answer.status).toBe(422);
    expect(JSON.stringify(await answer.json())).toContain("idempotency-key");
    expect(await countRows(engine, location)).toEqual(before);
  });

  test.each(["nobody", "a".repeat(5000), "%00", "%E0%A4%A", "..%2f..%2fetc", "__proto__", "%F0%9F%92%A9"])(
    "the unknown agent %s is 404",
    async (agent) => {
      const answer = await post(json, '{"message":"hi"}', agent);
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({
        detail: "Agent not found",
        request_id: expect.any(String),
      });
    },
  );

  test("another user's session is 404, and leaves nothing behind", async () => {
    for (const user_id of ["eve", undefined]) {
      const answer = await server.run({ message: "hi", session_id: "adas", user_id, stream: false });
      expect(answer.status).toBe(404);
    }
    expect(await countRows(engine, location)).toEqual(before);
  });

  test("a file with another user's session is 404, and leaves nothing behind", async () => {
    const body = `${part("message", "hi")}${part("session_id", "adas")}${part("user_id", "eve")}${file("files", "a.txt", "text/plain", "a")}--X--\r\n`;
    expect((await post(multipart, body)).status).toBe(404);
    expect(await countRows(engine, location)).toEqual(before);
  });

  test.each([
    "limit=0",
    "limit=1001",
    "limit=-1",
    "limit=1.5",
    "limit=x",
    "limit=",
    "limit=1&limit=2",
    "cursor=x",
    "cursor=-1",
    "cursor=99999999999999999999",
    "status=done",
    "session_id=%00",
    "user_id=a%0Ab",
    `user_id=${"u".repeat(256)}`,
  ])("a list of runs with %s is 422 and names it", async (query) => {
    const session = query.startsWith("session_id") ? "" : "session_id=adas&";
    const answer = await fetch(`${server.url}/agents/copilot/runs?${session}${query}`);
    expect(answer.status).toBe(422);
    expect((await answer.json()).detail[0].loc).toEqual(["query", query.split("=")[0]]);
  });

  test("a list of runs without a session is 422", async () => {
    const answer = await fetch(`${server.url}/agents/copilot/runs`);
    expect(answer.status).toBe(422);
    expect((await answer.json()).detail).toMatchObject([{ type: "missing", loc: ["query", "session_id"] }]);
  });

  test.each([
    "/agents/copilot/runs/%00",
    `/agents/copilot/runs/${"r".repeat(300)}`,
    "/media/%00",
    "/agents/%0A",
  ])("GET %s is refused", async (path) => {
    expect([404, 422]).toContain((await fetch(server.url + path)).status);
  });
});
