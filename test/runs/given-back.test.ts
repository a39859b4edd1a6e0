import { type Database, tool } from "agentos-ts";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { refuseChanges } from "../support/refusing-trigger.ts";
import { runsOf } from "../support/runs.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Traces } from "../support/traces.ts";

describe.each(engines)("on $name", (engine) => {
  let location: string;
  let db: Database;
  let server: TestServer;
  let goOn: (() => void) | undefined;

  beforeEach(async () => {
    goOn = undefined;
    const wait = tool({
      name: "wait",
      description: "Waits.",
      inputSchema: z.object({}),
      execute: () =>
        new Promise<string>((resolve) => {
          goOn = () => resolve("done");
        }),
    });
    location = await engine.createLocation();
    db = engine.connect(location);
    server = await startServer({
      db,
      agent: { tools: [wait] },
      os: { lease: { lease: 2000, beat: 100, sweep: 100 }, logLevel: "silent" },
    });
  });
  afterEach(() => server.close());

  const inBackground = async (message: string) => {
    const answer = await runsOf(server).create({ message, background: true });
    return ((await answer.json()) as { run_id: string }).run_id;
  };

  test("a background run whose end the database refuses for good ends as error, and is not done again", async () => {
    await refuseChanges(engine, location, "NEW.status = 'completed'");
    const runId = await inBackground("hello");
    const run = await vi.waitUntil(async () => {
      const stored = await runsOf(server).get(runId);
      return stored.status === "error" && stored;
    }, 5_000);
    expect(run).toMatchObject({ error_type: "run_fault", content: expect.stringContaining(runId) });
    expect(server.model.requests).toHaveLength(1);
    const { tree } = await new Traces(server.url).ofRun(runId);
    expect(tree).toMatchObject([{ type: "AGENT", status: "ERROR" }]);
  });

  test("a run that was to be cancelled ends when its process gives it back", async () => {
    const runId = await inBackground("[[tool=wait {}]]");
    await vi.waitUntil(() => goOn !== undefined);
    await query(
      engine,
      location,
      `UPDATE runs SET cancel_requested_at = 1, node_id = NULL WHERE run_id = '${runId}'`,
    );
    await db.queue().release(runId, 1);
    const stored = `SELECT status FROM runs WHERE run_id = '${runId}'`;
    expect(await query(engine, location, stored)).toMatchObject([{ status: "cancelled" }]);
    goOn!();
    expect(await runsOf(server).ended(runId)).toMatchObject({ status: "cancelled" });
  });

  test("the others are told of a run that is given back", async () => {
    await inBackground("[[tokens=60]] [[delay=10]] [[tool=wait {}]]");
    await vi.waitUntil(() => server.model.requests.length > 0);
    const told: string[] = [];
    db.signals().subscribe({ signal: ({ kind }) => told.push(kind) });
    // It comes to a checkpoint before its tool is called.
    await server.os.close();
    expect(told).toContain("queue");
  });
});
