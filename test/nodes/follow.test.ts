import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { beginRun, indexesOf, resume, resumedFrames, startNodes, upTo } from "../support/nodes.ts";
import type { ServerProcess } from "../support/server-process.ts";

const postgres = engines[1]!;

describe("a run that another node streams", () => {
  let model: MockModel;
  let nodes: ServerProcess[];
  let url: string;

  beforeAll(async () => {
    model = await startMockModel();
    url = await postgres.createLocation();
    nodes = await startNodes(2, { ...postgres.environment(url), OPENAI_BASE_URL: model.url });
  });
  afterAll(async () => {
    for (const node of nodes) await node.kill("SIGKILL");
    await model.close();
  });

  test("is followed from the start and from the middle, by POST and by GET: each event once and in order", async () => {
    const [a, b] = nodes as [ServerProcess, ServerProcess];
    const begun = await beginRun(a, "go [[tokens=300]] [[delay=10]]", "id: 20\n");
    const readers = [-1, 0, 7, 19].flatMap((after) =>
      ["POST", "GET"].map(async (method) => ({
        after,
        text: await (await resume(b, begun.runId, { method, after })).text(),
      })),
    );
    const whole = resumedFrames(await begun.rest());
    const last = whole.length - 1;
    expect(indexesOf(whole)).toEqual(upTo(0, last));
    for (const { after, text } of await Promise.all(readers)) {
      const frames = resumedFrames(text);
      expect(frames.find(({ event }) => event === "subscribed")).toMatchObject({
        data: { run_id: begun.runId, status: "running", current_event_count: expect.any(Number) },
      });
      const events = frames.filter(({ id }) => id !== undefined);
      expect(events).toEqual(whole.slice(after + 1));
    }
  });
});
