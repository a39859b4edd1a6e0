import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Program, startProgram, urlOf } from "../start/program.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";

/** The examples as a reader runs them: each is a process of its own. */

let mock: MockModel;
beforeAll(async () => {
  mock = await startMockModel();
});
afterAll(() => mock.close());

/** Settings for a model that does what the message says. */
const withModel = () => ({ OPENAI_API_KEY: "test", OPENAI_BASE_URL: mock.url });

async function start(name: string, settings: Record<string, string> = {}) {
  const program = await startProgram(`examples/${name}.ts`, settings);
  const url = await urlOf(program);
  return { program, url };
}

async function stop(program: Program): Promise<void> {
  program.signal("SIGTERM");
  expect(await program.ended).toMatchObject({ code: 0, signal: null, stderr: "" });
}

async function post(url: string, fields: Record<string, string>) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  const response = await fetch(url, { method: "POST", body });
  expect(response.status).toBe(200);
  return response;
}

test("every example is run here", () => {
  const examples = readdirSync(new URL("../../examples", import.meta.url)).filter((file) =>
    file.endsWith(".ts"),
  );
  expect(examples.toSorted()).toEqual([
    "ai-sdk.ts",
    "auth.ts",
    "client.ts",
    "copilot.ts",
    "custom-routes.ts",
    "mount.ts",
    "stream-in-process.ts",
    "structured-output.ts",
    "tools.ts",
  ]);
});

describe("copilot", () => {
  test("answers the product page's curl, offline and with a model", async () => {
    for (const settings of [{}, withModel()]) {
      const { program, url } = await start("copilot", settings);
      const fields = { message: "Summarize this thread", user_id: "sarah@acme.com", session_id: "thread-42" };
      const run = await (await post(`${url}/agents/copilot/runs`, { ...fields, stream: "false" })).json();
      expect(run).toMatchObject({
        session_id: "thread-42",
        user_id: "sarah@acme.com",
        agent_id: "copilot",
        status: "completed",
        content: expect.stringContaining("You said: Summarize this thread"),
      });
      await stop(program);
    }
  });
});

describe("auth", () => {
  test("is closed without its token, and open as far as that goes", async () => {
    const { program, url } = await start("auth");
    const [, token = ""] = await program.prints(/TOKEN=(\S+)/);
    const get = async (path: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(url + path, { headers });
      return { status: answer.status, json: await answer.json() };
    };
    const own = { authorization: `Bearer ${token}` };
    expect((await get("/sessions")).status).toBe(401);
    expect((await get("/sessions", own)).status).toBe(200);
    expect(await get("/reports/7", own)).toEqual({
      status: 200,
      json: { report: "7", for: "sarah@acme.com" },
    });
    expect((await get("/reports/8", own)).status).toBe(403);
    const body = new FormData();
    body.set("message", "Hello");
    body.set("stream", "false");
    const run = await fetch(`${url}/agents/copilot/runs`, { method: "POST", headers: own, body });
    expect(await run.json()).toMatchObject({ user_id: "sarah@acme.com", status: "completed" });
    await stop(program);
  });
});

describe("client", () => {
  const ask = (url: string, message: string) =>
    startProgram("examples/client.ts", { AGENTOS_URL: url }, [message]);

  test("shows the answer as it comes, and stops the run when it is interrupted", async () => {
    const { program, url } = await start("copilot", withModel());
    expect(await (await ask(url, "Summarize this thread")).ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^You said: Summarize this thread .*\ncompleted, \d+ tokens\n$/),
    });
    const slow = await ask(url, "[[tokens=1000]] [[delay=20]]");
    await slow.prints(/word5 /);
    slow.signal("SIGINT");
    const { code, stdout } = await slow.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/\ncancelled, \d+ tokens\n$/);
    await stop(program);
  });
});

describe("tools", () => {
  test("looks an order up for whom it belongs to, and keeps the cart", async () => {
    const { program, url } = await start("tools", withModel());
    const ask = async (message: string, user_id: string) =>
      (
        await post(`${url}/agents/shop/runs`, { message, user_id, session_id: user_id, stream: "false" })
      ).json();
    const find = '[[tool=find_order {"orderId":"A-17"}]]';
    expect((await ask(find, "sarah@acme.com")).content).toContain("on its way");
    expect((await ask(find, "eve@acme.com")).content).toContain("has no order A-17");
    await ask('[[tool=add_to_cart {"item":"tea"}]]', "sarah@acme.com");
    const { session_state } = await ask('[[tool=add_to_cart {"item":"milk","count":2}]]', "sarah@acme.com");
    expect(session_state).toEqual({ items: ["tea", "milk", "milk"] });
    await stop(program);
  });

  test("starts offline too", async () => {
    const { program, url } = await start("tools");
    await post(`${url}/agents/shop/runs`, { message: "hello", stream: "false" });
    await stop(program);
  });
});

describe("custom-routes", () => {
  test("answers the webhook with what the agent says", async () => {
    const { program, url } = await start("custom-routes");
    const response = await fetch(`${url}/webhooks/stripe`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ type: "invoice.paid" }),
    });
    expect(await response.json()).toEqual({
      ok: true,
      response: expect.stringContaining('Process Stripe event: {"type":"invoice.paid"}'),
    });
    expect(await (await fetch(`${url}/version`)).json()).toEqual({ version: "2026.1" });
    expect(await (await fetch(`${url}/widget`)).text()).toContain("askCopilot");
    await stop(program);
  });
});

describe("mount", () => {
  test("serves the agents under a path of the host app, with everything that belongs to them", async () => {
    const { program, url } = await start("mount");
    expect(await (await fetch(url)).text()).toContain("The product");
    const run = await post(`${url}/agentos/agents/copilot/runs`, { message: "Hello", stream: "false" });
    expect(await run.json()).toMatchObject({ agent_id: "copilot", status: "completed" });
    expect((await fetch(`${url}/agentos/docs`)).status).toBe(200);
    expect((await fetch(`${url}/agentos/nowhere`)).status).toBe(404);
    expect((await fetch(`${url}/agents`)).status).toBe(404);
    await stop(program);
  });
});

describe("ai-sdk", () => {
  test("streams a poem, offline and through a provider of the AI SDK", async () => {
    for (const [settings, poem] of [
      [{}, "An old silent pond"],
      [withModel(), "You said: Write a haiku"],
    ] as const) {
      const { program, url } = await start("ai-sdk", settings);
      const events = await (await post(`${url}/agents/poet/runs`, { message: "Write a haiku" })).text();
      expect(events).toContain("event: RunContent\n");
      expect(events).toMatch(new RegExp(`event: RunCompleted\ndata: .*${poem}`));
      await stop(program);
    }
  });
});

describe("without a server", () => {
  test("structured-output prints what a typed answer holds", async () => {
    const offline = await startProgram("examples/structured-output.ts");
    expect(await offline.ended).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(
        /^(URGENT )?(billing|bug|question): .*\nThe customer is (angry|calm)\.\n$/,
      ),
    });
    const answer = '[[say={"title":"Charged twice","area":"billing","urgent":true,"angry":true}]]';
    const { ended } = await startProgram("examples/structured-output.ts", withModel(), [answer]);
    expect(await ended).toMatchObject({
      code: 0,
      stdout: "URGENT billing: Charged twice\nThe customer is angry.\n",
    });
  });

  test("stream-in-process prints the answer, and Ctrl-C cancels it", async () => {
    const offline = await startProgram("examples/stream-in-process.ts");
    expect(await offline.ended).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(/You said: Tell me a story\n\(\d+ tokens\)\n$/),
    });
    const endless = await startProgram("examples/stream-in-process.ts", withModel(), [
      "[[tokens=10000]] [[delay=5]]",
    ]);
    await endless.prints(/word0/);
    endless.signal("SIGINT");
    expect(await endless.ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/\(cancelled\)\n$/) });
  });
});
