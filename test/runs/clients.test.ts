import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { framesOf, readFrames, readUntil } from "../support/read-events.ts";
import { add } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { tools: [add] },
    });
  });
  afterAll(() => server.close());

  /** The runs of a session, once none of them is under way. */
  async function ended(session: string): Promise<{ status: string; content: string }[]> {
    while (true) {
      const runs = await (await fetch(`${server.url}/agents/copilot/runs?session_id=${session}`)).json();
      if (runs.length > 0 && runs.every(({ status }: { status: string }) => status !== "running"))
        return runs;
    }
  }

  const slow = '[[tool=add {"a":1,"b":2}]] [[delay=2]] [[tokens=100]]';

  test.each([
    "RunStarted",
    "ToolCallStarted",
    "ToolCallCompleted",
    "word0 ",
    "word50 ",
    "RunContentCompleted",
    "RunCompleted",
  ])("a run goes on when its reader hangs up at %s", async (moment) => {
    const session = `gone-${moment.trim()}`;
    const gone = new AbortController();
    const response = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message: slow, session_id: session }),
      signal: gone.signal,
    });
    await readUntil(response.body!.getReader(), moment);
    gone.abort();
    const [run] = await ended(session);
    expect(run?.status).toBe("completed");
    expect(run?.content.endsWith("word99 ")).toBe(true);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  test.each([true, false])(
    "a run goes on when its caller hangs up before any answer (stream %s)",
    async (stream) => {
      const session = `before-${stream}`;
      const socket = await rawRun({ message: "[[tokens=50]] [[delay=2]]", session_id: session, stream });
      await accepted(session);
      socket.destroy();
      expect((await ended(session))[0]?.status).toBe("completed");
    },
  );

  test("a caller that hangs up in the middle of its body does no harm", async () => {
    for (let i = 0; i < 20; i++) {
      const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
      await new Promise<void>((resolve) => {
        socket.write(
          'POST /agents/copilot/runs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"message"',
          () => resolve(),
        );
      });
      socket.destroy();
    }
    expect((await server.run({ message: "hi", stream: false })).status).toBe(200);
  });

  test("many readers that hang up leave every run to its end", async () => {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const response = await server.run({ message: "[[tokens=50]] [[delay=1]]", session_id: "crowd" });
        const reader = response.body!.getReader();
        await reader.read();
        await reader.cancel();
      }),
    );
    const runs = await ended("crowd");
    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => "completed"));
    expect(runs).toHaveLength(50);
  });

  test("a reader that begins late gets a long log whole and without gaps, and held up nobody meanwhile", async () => {
    const response = await server.run({ message: "[[tokens=60000]]", session_id: "late" });
    const [run] = await ended("late");
    expect(run?.status).toBe("completed");
    expect((await server.run({ message: "hi", stream: false })).status).toBe(200);
    const frames = await readFrames(response);
    expect(frames.every(({ id, data }, i) => id === String(i) && data.event_index === i)).toBe(true);
    const text = frames.map(({ data }) => (data.event === "RunContent" ? data.content : "")).join("");
    expect(text).toBe(Array.from({ length: 60_000 }, (_, i) => `word${i} `).join(""));
    expect(frames.at(-1)?.event).toBe("RunCompleted");
  });

  test("two readers of two long runs get each their own", async () => {
    const texts = await Promise.all(
      [20_000, 15_000].map(async (count) => {
        const frames = framesOf(await (await server.run({ message: `[[tokens=${count}]]` })).text());
        expect(new Set(frames.map(({ data }) => data.run_id)).size).toBe(1);
        return frames.filter(({ event }) => event === "RunContent").length;
      }),
    );
    expect(texts).toEqual([20_000, 15_000]);
  });

  function rawRun(body: object): Promise<Socket> {
    const json = JSON.stringify(body);
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    return new Promise((resolve) => {
      socket.write(
        `POST /agents/copilot/runs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${json.length}\r\n\r\n${json}`,
        () => resolve(socket),
      );
    });
  }

  async function accepted(session: string): Promise<void> {
    while (true) {
      const runs = await (await fetch(`${server.url}/agents/copilot/runs?session_id=${session}`)).json();
      if (runs.length > 0) return;
    }
  }
});
