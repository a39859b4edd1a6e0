import { PostgresDb } from "agentos-ts";
import pg from "pg";
import { expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { beginRun } from "../support/nodes.ts";
import { runsOf } from "../support/runs.ts";
import { startServer } from "../support/server.ts";

test("a pool that is full answers 503, and holds up neither signs of life nor what runs append", {
  timeout: 60_000,
}, async () => {
  const url = await engines[1]!.createLocation();
  const server = await startServer({
    db: new PostgresDb({ url, poolSize: 2 }),
    // Shorter than a request waits for a connection.
    os: { lease: { lease: 3000, beat: 500, sweep: 500 } },
  });
  const blocker = new pg.Client({ connectionString: url, options: "-c search_path=agentos" });
  await blocker.connect();
  const message = "[[tokens=250]] [[delay=20]]";
  const begun = await beginRun(server, message, "id: 5\n", { background: true });
  const run_id = begun.runId;
  const whole = server.run({ message, stream: false });
  await vi.waitUntil(
    async () => (await blocker.query("SELECT 1 FROM runs WHERE status = 'running'")).rowCount === 2,
  );

  await blocker.query("BEGIN");
  await blocker.query("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE");
  const asked = Array.from({ length: 4 }, () => server.run({ message: "hi", stream: false }));
  const refused = await Promise.any(
    asked.map(async (answer) => {
      const { status } = await answer;
      if (status !== 503) throw new Error(`answered ${status}`);
      return (await answer).headers.get("retry-after");
    }),
  );
  expect(Number(refused)).toBeGreaterThan(0);
  // More than a lease has passed: had the beats waited, both runs would be lost; had the log, there would be less of it.
  const stored = await blocker.query(
    "SELECT last_index FROM run_events WHERE run_id = $1 ORDER BY last_index DESC LIMIT 1",
    [run_id],
  );
  expect(stored.rows[0].last_index).toBeGreaterThan(100);
  await blocker.query("ROLLBACK");
  await blocker.end();

  await Promise.all(asked);
  expect(await (await whole).json()).toMatchObject({ status: "completed" });
  const run = await runsOf(server).ended(run_id);
  expect(run).toMatchObject({ status: "completed" });
  await server.close();
});
