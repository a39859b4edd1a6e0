import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, AgentOS, EchoModel } from "agentos-ts";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Program, startProgram, urlOf } from "../start/program.ts";
import { engines } from "../support/engines.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { beginRun, indexesOf, resumedFrames, upTo } from "../support/nodes.ts";

const postgres = engines.find(({ name }) => name === "postgres")!;

// Each start is that of three processes.
vi.setConfig({ testTimeout: 60_000 });

let mock: MockModel;
beforeAll(async () => {
  mock = await startMockModel();
});
afterAll(() => mock.close());

/** Starts a server of two workers, and gives their process ids. */
async function start(settings: Record<string, string> = {}) {
  const program = await startProgram("test/nodes/programs/workers.ts", {
    ...postgres.environment(await postgres.createLocation()),
    OPENAI_API_KEY: "test",
    OPENAI_BASE_URL: mock.url,
    AGENTOS_WORKERS: "2",
    ...settings,
  });
  const url = await urlOf(program);
  const [, first, second] = await program.prints(/worker (\d+) serves [\s\S]*worker (\d+) serves /);
  return { program, url, workers: [Number(first), Number(second)] };
}

/** Asks on a connection of its own, so that each question may go to another process. */
function ask(url: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode, text }));
      response.on("error", reject);
    }).on("error", reject);
  });
}

/** Reads a stream to its end, and gives how it ended once no event is missing. */
async function wholeStream({ rest }: { rest: () => Promise<string> }): Promise<string> {
  const frames = resumedFrames(await rest());
  const indexes = indexesOf(frames);
  expect(indexes).toEqual(upTo(0, indexes.length - 1));
  return frames.at(-1)!.event;
}

/** All output of the program is closed when no process of it is left. */
async function expectCleanEnd(program: Program): Promise<void> {
  expect(await program.ended).toMatchObject({ code: 0, signal: null, stderr: "" });
}

test("several processes answer on one port, each a node; one that is killed is started again", async () => {
  const { program, url, workers } = await start();
  expect(new Set(workers).size).toBe(2);
  const { input: stdout } = await program.prints(/primary \d+ serves .*\n/);
  expect(stdout.match(/listens on/g)).toHaveLength(1);
  expect(stdout).toMatch(/workers +2 processes/);
  // The script runs in each of them, and all are told the same.
  expect(stdout.match(/ serves (\S+)/g)).toEqual([` serves ${url}`, ` serves ${url}`, ` serves ${url}`]);

  const nodes = async () => JSON.parse((await ask(`${url}/queue/nodes`)).text) as { node_id: string }[];
  const atFirst = (await nodes()).map(({ node_id }) => node_id);
  expect(atFirst).toHaveLength(2);
  const infos = await Promise.all(Array.from({ length: 4 }, () => ask(`${url}/info`)));
  expect(new Set(infos.map(({ text }) => JSON.parse(text).os_id)).size).toBe(1);
  // At the same time: each on a connection of its own.
  await Promise.all(
    ["one", "two", "three", "four"].map(async (message) => {
      await (await beginRun({ url }, message, "RunStarted")).rest();
    }),
  );
  const metrics = (await ask(`${url}/metrics/prometheus`)).text;
  const runs = [...metrics.matchAll(/^agentos_runs_total\{.*worker="(\d)"\} (\d)$/gm)];
  expect(runs.map(([, worker]) => worker).sort()).toEqual(["1", "2"]);
  expect(runs.reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(4);

  process.kill(workers[0]!, "SIGKILL");
  const health = () =>
    ask(`${url}/health`).then(
      ({ status }) => status,
      ({ code }) => code,
    );
  const answers = [health(), health()];
  await expect
    .poll(
      async () => {
        answers.push(health());
        return (await nodes()).some(({ node_id }) => !atFirst.includes(node_id));
      },
      { timeout: 20_000 },
    )
    .toBe(true);
  // One may have been handed to the worker when it was gone already: that one is closed, and the others are answered.
  const others = (await Promise.all(answers)).filter((answer) => answer !== 200);
  expect(others).toEqual(others.length === 0 ? [] : ["ECONNRESET"]);
});

test("SIGTERM lets the runs of every worker end, and takes no new ones meanwhile", async () => {
  const { program, url } = await start();
  const streams = await Promise.all(
    [1, 2].map(() => beginRun({ url }, "[[tokens=200]] [[delay=20]]", "RunContent")),
  );
  program.signal("SIGTERM");
  await expect.poll(async () => (await ask(`${url}/readyz`)).status).toBe(503);
  expect((await ask(`${url}/health`)).status).toBe(200);
  expect(await Promise.all(streams.map(wholeStream))).toEqual(["RunCompleted", "RunCompleted"]);
  await expectCleanEnd(program);
});

test("a second signal stops all of them at once", async () => {
  const { program, url } = await start();
  const stream = await beginRun({ url }, "[[tokens=10000]] [[delay=20]]", "RunContent");
  program.signal("SIGINT");
  // 75 pieces, 20 ms apart: what comes within a second is the same signal.
  const pieces = (text: string) => text.match(/event: RunContent\n/g)?.length ?? 0;
  let text = "";
  const decoder = new TextDecoder();
  while (pieces(text) < 75) text += decoder.decode((await stream.reader.read()).value, { stream: true });
  program.signal("SIGINT");
  expect(await stream.rest()).toContain('"error_type":"server_stopped"');
  await expectCleanEnd(program);
});

test("workers whose primary is killed bring their runs to an end, and are gone then", async () => {
  const { program, url } = await start();
  const stream = await beginRun({ url }, "[[tokens=60]] [[delay=20]]", "RunContent");
  program.signal("SIGKILL");
  expect(await wholeStream(stream)).toBe("RunCompleted");
  expect(await program.ended).toMatchObject({ signal: "SIGKILL", stderr: "" });
  await expect(ask(`${url}/health`)).rejects.toThrow("ECONNREFUSED");
});

test("a worker that cannot start again is tried until it can; close() in the primary stops all", async () => {
  const inTheWay = join(await mkdtemp(join(tmpdir(), "agentos-workers-")), "in-the-way");
  const { program, url, workers } = await start({ TEST_NO_WORKERS: inTheWay, LOG_LEVEL: "error" });
  await writeFile(inTheWay, "");
  process.kill(workers[1]!, "SIGKILL");
  await program.prints(/worker 2 ended with 3 before it listened[\s\S]*"pause_ms":500/);
  expect((await ask(`${url}/health`)).status).toBe(200);
  await rm(inTheWay);
  await program.prints(/(worker \d+ serves [\s\S]*){3}/);

  const stream = await beginRun({ url }, "[[tokens=30]] [[delay=20]]", "RunContent");
  program.signal("SIGUSR2");
  expect(await wholeStream(stream)).toBe("RunCompleted");
  await expectCleanEnd(program);
  expect((await program.ended).stdout.match(/has closed/g)).toHaveLength(1);
});

test.each([
  [{ workers: 0 }, "whole number of at least 1, not 0"],
  [{ workers: 1.5 }, "whole number of at least 1, not 1.5"],
  [{ workers: 2 }, "PostgreSQL database, and this server has memory"],
])("serve(%j) is refused, and changes nothing", async (options, reason) => {
  const agentOS = new AgentOS({ agents: [new Agent({ id: "copilot", model: new EchoModel() })] });
  await expect(agentOS.serve({ port: 0, ...options })).rejects.toThrow(reason);
  const { url } = await agentOS.serve({ port: 0, workers: 1, banner: false, handleSignals: false });
  expect((await fetch(`${url}/health`)).status).toBe(200);
  await agentOS.close();
});
