import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { readFrames } from "../support/read-events.ts";
import { runsOf } from "../support/runs.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let runs: ReturnType<typeof runsOf>;

  beforeAll(async () => {
    server = await startServer({ db: engine.connect(await engine.createLocation()) });
    runs = runsOf(server);
  });
  afterAll(() => server.close());

  const send = (key: string, body: object) => runs.create(body, { "idempotency-key": key });
  const asked = (text: string) =>
    server.model.requests.filter(({ body }) => JSON.stringify(body).includes(text)).length;

  test("sixteen of the same at once are one run, with one answer", async () => {
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => send("at-once", { message: "just once", stream: false })),
    );
    const bodies = await Promise.all(answers.map((answer) => answer.json()));
    expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200));
    expect(new Set(bodies.map(({ run_id }) => run_id)).size).toBe(1);
    expect(bodies.every(({ status }) => status === "completed")).toBe(true);
    expect(asked("just once")).toBe(1);
  });

  test("a stream is given from its start again", async () => {
    const first = await readFrames(await send("stream", { message: "a b c", stream: true }));
    const again = await readFrames(await send("stream", { message: "a b c", stream: true }));
    expect(again).toEqual(first);
  });

  test("in background it is the same run, accepted again", async () => {
    const body = { message: "later", background: true };
    const first = await send("background", body);
    const again = await send("background", body);
    expect([first.status, again.status]).toEqual([202, 202]);
    expect((await again.json()).run_id).toBe((await first.json()).run_id);
  });

  test("the order of fields and the boundary of a form make no other request", async () => {
    const form = (name: string) => {
      const data = new FormData();
      for (const [key, value] of Object.entries({ stream: "false", message: "form", metadata: '{"a":1}' }))
        data.append(key, value);
      data.append("files", new File([name], "a.txt", { type: "text/plain" }));
      return fetch(`${server.url}/agents/copilot/runs`, {
        method: "POST",
        headers: { "idempotency-key": "form" },
        body: data,
      });
    };
    const first = await (await form("one")).json();
    expect((await (await form("one")).json()).run_id).toBe(first.run_id);
    expect((await form("two")).status).toBe(422);
    const json = { message: "fields", stream: false };
    const one = await (await send("fields", json)).json();
    expect((await (await send("fields", { stream: false, message: "fields" })).json()).run_id).toBe(
      one.run_id,
    );
  });

  test("another request under the same key is refused, and another user has keys of its own", async () => {
    await send("shared", { message: "one", stream: false, user_id: "a" });
    const other = await send("shared", { message: "two", stream: false, user_id: "a" });
    expect(other.status).toBe(422);
    expect(JSON.stringify(await other.json())).toContain("idempotency-key");
    expect((await send("shared", { message: "two", stream: false, user_id: "b" })).status).toBe(200);
  });

  test("a request that was refused keeps no key", async () => {
    expect((await send("refused", { message: "", stream: false })).status).toBe(422);
    expect((await send("refused", { message: "ok", stream: false })).status).toBe(200);
  });

  test("a run that failed is not done again under its key", async () => {
    const first = await (await send("failed", { message: "x [[error=400]]", stream: false })).json();
    const again = await (await send("failed", { message: "x [[error=400]]", stream: false })).json();
    expect(first.status).toBe("error");
    expect(again).toMatchObject({ run_id: first.run_id, status: "error" });
  });
});
