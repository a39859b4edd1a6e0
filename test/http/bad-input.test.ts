import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { countRows } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { file, json, multipart, part, wrongBodies } from "../support/wrong-bodies.ts";

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

  test.each(Object.entries(wrongBodies))(
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

  test.each(["two words", "a".repeat(256), "caf\u00e9"])("the Idempotency-Key %j is refused", async (key) => {
    const answer = await post({ ...json, "idempotency-key": key }, '{"message":"hi"}');
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
