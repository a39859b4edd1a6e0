import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { type Program, startProgram, urlOf } from "./program.ts";

let mock: MockModel;
beforeAll(async () => {
  mock = await startMockModel();
});
afterAll(() => mock.close());

async function start(settings: Record<string, string> = {}, file = "examples/copilot.ts") {
  const program = await startProgram(file, {
    OPENAI_API_KEY: "test",
    OPENAI_BASE_URL: mock.url,
    ...settings,
  });
  return { program, url: await urlOf(program) };
}

function post(url: string, message: string): Promise<Response> {
  return fetch(`${url}/agents/copilot/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message }),
  });
}

/** A stream that is read piece by piece. */
async function follow(url: string, message: string) {
  const reader = (await post(url, message)).body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const said = () => text.match(/event: RunContent\n/g)?.length ?? 0;
  const readOn = async (): Promise<boolean> => {
    const { done, value = "" } = await reader.read();
    text += value;
    return !done;
  };
  return {
    /** Reads until so many more pieces of the answer are there. */
    async pieces(count: number): Promise<void> {
      const enough = said() + count;
      while (said() < enough && (await readOn()));
    },
    /** Reads to the end, and gives the last event. */
    async last() {
      while (await readOn());
      const frame = text.trim().split("\n\n").at(-1) ?? "";
      return JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? "null");
    },
  };
}

async function expectCleanEnd(program: Program): Promise<void> {
  expect(await program.ended).toMatchObject({ code: 0, signal: null, stderr: "" });
}

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  test("ends an idle server at once", async () => {
    const { program, url } = await start();
    // A connection that is kept open must not hold it.
    await (await fetch(`${url}/health`)).text();
    program.signal(signal);
    await expectCleanEnd(program);
  });

  test("lets a run end, and takes no new ones meanwhile, on a port that stays open", async () => {
    const { program, url } = await start();
    const stream = await follow(url, "[[tokens=150]] [[delay=20]]");
    await stream.pieces(1);
    program.signal(signal);
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(503);
    for (const refused of [
      await fetch(`${url}/readyz`),
      await fetch(`${url}/health?ready=true`),
      await post(url, "too late"),
    ]) {
      expect(refused.status).toBe(503);
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await refused.json()).toMatchObject({ detail: expect.stringMatching(/stopping/) });
    }
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect(await stream.last()).toMatchObject({ event: "RunCompleted" });
    await expectCleanEnd(program);
  });
});

describe("a run that takes longer than the server waits", () => {
  test("ends as error, is told so to its reader, and is stored", async () => {
    const AGENTOS_SQLITE_PATH = join(await mkdtemp(join(tmpdir(), "agentos-stop-")), "agentos.db");
    const { program, url } = await start({ AGENTOS_SQLITE_PATH }, "test/start/programs/impatient.ts");
    const stream = await follow(url, "[[tokens=10000]] [[delay=20]]");
    await stream.pieces(3);
    program.signal("SIGTERM");
    const last = await stream.last();
    expect(last).toMatchObject({ event: "RunError", error_type: "server_stopped" });
    await expectCleanEnd(program);

    const again = await start({ AGENTOS_SQLITE_PATH });
    const run = await fetch(`${again.url}/agents/copilot/runs/${last.run_id}`);
    expect(await run.json()).toMatchObject({ status: "error", content: expect.stringMatching(/stopped/) });
  });
});

describe("a second signal", () => {
  test("right after the first is the same one: npm passes on what came to all", async () => {
    const { program, url } = await start();
    const stream = await follow(url, "[[tokens=50]] [[delay=20]]");
    await stream.pieces(1);
    program.signal("SIGINT");
    program.signal("SIGINT");
    program.signal("SIGTERM");
    expect(await stream.last()).toMatchObject({ event: "RunCompleted" });
    await expectCleanEnd(program);
  });

  test("later means now: runs end as error, and the server with them", async () => {
    const { program, url } = await start();
    const stream = await follow(url, "[[tokens=10000]] [[delay=20]]");
    await stream.pieces(1);
    program.signal("SIGINT");
    // 75 pieces, 20 ms apart.
    await stream.pieces(75);
    program.signal("SIGINT");
    expect(await stream.last()).toMatchObject({ event: "RunError", error_type: "server_stopped" });
    await expectCleanEnd(program);
  });
});
