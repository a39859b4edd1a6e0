import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { afterEach, expect, test, vi } from "vitest";
import { DatabaseUnavailableError } from "../../src/errors.ts";
import { engines } from "../support/engines.ts";
import { startServer } from "../support/server.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const sqlite = engines.find(({ name }) => name === "sqlite")!;

test("a run whose end the writing thread dies of is stored all the same, by the next thread", async () => {
  const server = await startServer({ db: sqlite.connect(await sqlite.createLocation()) });
  await server.run({ message: "before", session_id: "one", stream: false });
  const killed = vi.fn();
  const { postMessage } = Worker.prototype;
  vi.spyOn(Worker.prototype, "postMessage").mockImplementation(function (this: Worker, message, ...rest) {
    const isEnd = JSON.stringify(message).includes("RunCompleted");
    if (!isEnd || killed.mock.calls.length > 0) return postMessage.call(this, message, ...rest);
    killed();
    void this.terminate();
  });
  const answer = await server.run({ message: "during", session_id: "one", stream: false });
  expect(killed).toHaveBeenCalledOnce();
  expect((await answer.json()).status).toBe("completed");
  const runs = await (await fetch(`${server.url}/sessions/one/runs`)).json();
  expect(runs.map(({ run_input, status }: Record<string, string>) => [run_input, status])).toEqual([
    ["before", "completed"],
    ["during", "completed"],
  ]);
  await server.close();
});

test("a database that is closed takes no more writes, whoever still holds a part of it", async () => {
  const db = sqlite.connect(await sqlite.createLocation());
  await db.open();
  const queue = db.queue();
  await db.close();
  await expect(queue.begin("run_1", true)).rejects.toBeInstanceOf(DatabaseUnavailableError);
});

test("a program that is given as text can open a file, and ends when it has nothing else to do", async () => {
  const text = `
    import { SqliteDb } from "agentos-ts";
    await new SqliteDb({ path: ${JSON.stringify(await sqlite.createLocation())} }).open();
    console.log("open");`;
  const flags = ["--conditions=agentos-source", "--input-type=module", "--eval", text];
  const { stdout } = await promisify(execFile)(process.execPath, flags, { timeout: 20_000 });
  expect(stdout).toBe("open\n");
});
