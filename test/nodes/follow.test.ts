import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import {
  type Begun,
  beginRun,
  indexesOf,
  type ResumedFrame,
  resume,
  resumedFrames,
  upTo,
} from "../support/nodes.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { proxyOf, type TcpProxy } from "../support/tcp-proxy.ts";

const postgres = engines[1]!;

describe("a run that another node streams", { retry: 1 }, () => {
  let url: string;
  let model: MockModel;
  /** Between the second node and the database, for what it listens to. */
  let proxy: TcpProxy;
  let environment: Record<string, string>;
  let first: ServerProcess;
  let second: ServerProcess;

  beforeAll(async () => {
    url = await postgres.createLocation();
    model = await startMockModel();
    const through = await proxyOf(url);
    proxy = through.proxy;
    environment = { ...postgres.environment(url), OPENAI_BASE_URL: model.url, TEST_LEASE: "4000" };
    first = await startServerProcess(environment);
    second = await startServerProcess({ ...environment, AGENTOS_LISTEN_URL: through.url });
  });
  afterEach(() => proxy.resume());
  afterAll(async () => {
    await Promise.all([first.kill("SIGKILL"), second.kill("SIGKILL")]);
    await Promise.all([model.close(), proxy.close()]);
  });

  /** Follows a run at the second node, and gives the frames once it has ended. */
  const follow = async ({ runId }: Begun, options: { method?: string; after?: number } = {}) =>
    resumedFrames(await (await resume(second, runId, options)).text());

  /** That a reader got all that follows an index of what the first reader got, and nothing else. */
  function expectRest(got: ResumedFrame[], whole: ResumedFrame[], after = -1): void {
    expect(indexesOf(whole)).toEqual(upTo(0, whole.length - 1));
    expect(got.filter(({ id }) => id !== undefined)).toEqual(whole.slice(after + 1));
  }

  test("is followed from the start and from the middle, by POST and by GET: each event once and in order", async () => {
    const begun = await beginRun(first, "go [[tokens=300]] [[delay=10]]", "id: 20\n");
    const readers = [-1, 0, 7, 19].flatMap((after) =>
      ["POST", "GET"].map(async (method) => ({ after, got: await follow(begun, { method, after }) })),
    );
    const whole = resumedFrames(await begun.rest());
    for (const { after, got } of await Promise.all(readers)) {
      expectRest(got, whole, after);
      expect(got.find(({ event }) => event === "subscribed")).toMatchObject({
        data: { run_id: begun.runId, status: "running", current_event_count: expect.any(Number) },
      });
    }
  });

  test("is followed by a reader who has more of it than is stored", async () => {
    const begun = await beginRun(first, "go [[tokens=200]] [[delay=10]]", "id: 5\n");
    const after = indexesOf(resumedFrames(begun.text.slice(0, begun.text.lastIndexOf("\n\n")))).at(-1)!;
    const got = await follow(begun, { after });
    expectRest(got, resumedFrames(await begun.rest()), after);
  });

  test("is followed to its end while nothing can be listened to", async () => {
    proxy.stop();
    const begun = await beginRun(first, "go [[tokens=150]] [[delay=10]]", "id: 3\n");
    const got = await follow(begun);
    expectRest(got, resumedFrames(await begun.rest()));
  });

  test("is followed to its end whatever becomes of the connections of signals", async () => {
    const begun = await beginRun(first, "go [[tokens=300]] [[delay=10]]", "id: 3\n");
    const following = follow(begun);
    const client = new pg.Client(url);
    await client.connect();
    let ended = false;
    const whole = begun.rest().finally(() => {
      ended = true;
    });
    while (!ended) {
      await client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('agentos listener', 'agentos notifier') AND datname = current_database()",
      );
      proxy.stop();
      await client.query("SELECT pg_sleep(0.3)");
      proxy.resume();
      await client.query("SELECT pg_sleep(0.3)");
    }
    expectRest(await following, resumedFrames(await whole));
    await client.end();
  });

  test("in background is followed on every node while it waits, and then wherever it is done", async () => {
    const submit = async (message: string) => {
      const answer = await fetch(`${first.url}/agents/copilot/runs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ message, background: true, session_id: "one after another" }),
      });
      expect(answer.status).toBe(202);
      return (await answer.json()).run_id as string;
    };
    const before = await submit("go [[tokens=150]] [[delay=10]]");
    const runId = await submit("go [[tokens=50]] [[delay=10]]");
    const answers = await Promise.all(
      [first, second, first, second].map((node, i) =>
        resume(node, runId, { method: i < 2 ? "POST" : "GET" }),
      ),
    );
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    const replayed = resumedFrames(await (await resume(second, runId)).text());
    expect(replayed[0]).toMatchObject({ event: "replay", data: { status: "completed" } });
    for (const text of texts) {
      const frames = resumedFrames(text);
      expect(frames[0]).toMatchObject({ event: "subscribed", data: { status: "pending" } });
      expectRest(frames, replayed.slice(1));
    }
    const earlier = await (await fetch(`${second.url}/agents/copilot/runs/${before}`)).json();
    expect(earlier.status).toBe("completed");
  });

  test("is shown as far as it is stored", async () => {
    const begun = await beginRun(first, "go [[tokens=100]] [[delay=10]]", "id: 3\n");
    const run = await (await fetch(`${second.url}/agents/copilot/runs/${begun.runId}`)).json();
    expect(run).toMatchObject({ run_id: begun.runId, status: "running" });
    await begun.rest();
  });

  test("and whose node is killed is followed to the end that the others give it", async () => {
    const doomed = await startServerProcess(environment);
    const begun = await beginRun(doomed, "go [[tokens=2000]] [[delay=10]]", "word50 ");
    const readers = [follow(begun), follow(begun, { method: "GET", after: 10 })];
    await doomed.kill("SIGKILL");
    const [all, rest] = (await Promise.all(readers)) as [ResumedFrame[], ResumedFrame[]];
    expect(all.at(-1)).toMatchObject({ event: "RunError", data: { error_type: "server_stopped" } });
    const replayed = (await follow(begun)).filter(({ id }) => id !== undefined);
    expectRest(all, replayed);
    expectRest(rest, replayed, 10);
  });
});
