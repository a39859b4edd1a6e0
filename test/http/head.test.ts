import { afterEach, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;
afterEach(() => server.close());

const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

test("HEAD of a stream answers its headers, and leaves nothing running", async () => {
  server = await startServer();
  const running = await server.run({ message: "hi [[tokens=50]] [[delay=100]]", session_id: "s" });
  const reader = running.body!.getReader();
  let text = "";
  while (!text.includes("run_id")) text += new TextDecoder().decode((await reader.read()).value);
  const runId = /"run_id":"([^"]+)"/.exec(text)?.[1];
  const app = server.os.getApp();
  const before = timers();
  for (let i = 0; i < 50; i++) {
    const answer = await app.request(`/agents/copilot/runs/${runId}/resume`, { method: "HEAD" });
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
  }
  expect(timers()).toBeLessThan(before + 25);
  await app.request(`/agents/copilot/runs/${runId}/cancel`, { method: "POST" });
  await reader.cancel();
});
