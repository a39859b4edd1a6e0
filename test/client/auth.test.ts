import { AgentOSClient, type RunEvent } from "agentos-ts/client";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";
import { proxyOf } from "../support/tcp-proxy.ts";
import { createIssuer, inSeconds, sign } from "../support/tokens.ts";

/** The client against a server that is locked. */

const issuer = createIssuer();
let server: TestServer;
beforeAll(async () => {
  server = await startServer({ os: { authorization: { verificationKeys: issuer.pem } } });
});
afterAll(() => server.close());

async function all(events: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const got: RunEvent[] = [];
  for await (const event of events) got.push(event);
  return got;
}

const gapless = (events: RunEvent[]) => events.every(({ event_index }, i) => event_index === i);

test("a stream outlives its token: the next one is asked for, and each event comes once", async () => {
  let asked = 0;
  const client = new AgentOSClient({
    baseUrl: server.url,
    token: () => {
      asked++;
      return sign(issuer.privateKey, { sub: "ada", scopes: ["agents:run"], exp: inSeconds(2) });
    },
  });
  const events = await all(client.agents.stream("copilot", "[[tokens=150]] [[delay=40]]"));
  expect(events.at(-1)?.event).toBe("RunCompleted");
  expect(gapless(events)).toBe(true);
  expect(asked).toBeGreaterThanOrEqual(3);
});

test.each([
  ["a user who names another", { sub: "ada", scopes: ["agents:run"] }, "ada"],
  ["who acts for others", { sub: "backend", scopes: ["agents:run", "users:impersonate"] }, "eve"],
  ["an administrator", { sub: "root", scopes: ["agent_os:admin"] }, "eve"],
])("the run of %s is taken up again, and cancelled, in the same name", async (_, claims, owner) => {
  const { proxy, url } = await proxyOf(server.url);
  onTestFinished(() => proxy.close());
  const client = new AgentOSClient({ baseUrl: url, token: () => sign(issuer.privateKey, claims) });
  const stream = client.agents.stream("copilot", "[[tokens=500]] [[delay=20]]", { userId: "eve" });
  const events: RunEvent[] = [];
  for await (const event of stream) {
    events.push(event);
    if (event.event_index === 10) {
      proxy.stop();
      proxy.resume();
    }
    if (event.event_index === 40) await stream.cancel();
  }
  expect(events.at(-1)?.event).toBe("RunCancelled");
  expect(gapless(events)).toBe(true);
  const run = await client.runs.get("copilot", stream.runId!, { userId: owner });
  expect(run).toMatchObject({ status: "cancelled", user_id: owner });
});

test("a token that is refused and cannot be renewed ends a stream with what the server says", async () => {
  const token = await sign(issuer.privateKey, { sub: "ada", scopes: ["sessions:read"] });
  const client = new AgentOSClient({ baseUrl: server.url, token });
  await expect(all(client.agents.stream("copilot", "hi"))).rejects.toMatchObject({
    status: 403,
    detail: expect.stringContaining("agents:run"),
  });
  const old = new AgentOSClient({ baseUrl: server.url, token: `${token}x` });
  await expect(all(old.agents.stream("copilot", "hi"))).rejects.toMatchObject({ status: 401 });
});
