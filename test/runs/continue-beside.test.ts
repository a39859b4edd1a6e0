import { tool } from "agentos-ts";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

const careful = tool({
  name: "careful",
  description: "Is made once it is allowed.",
  inputSchema: z.object({}),
  requiresConfirmation: true,
  execute: () => "allowed",
});

describe.each(engines)("on $name", (engine) => {
  let location: string;
  let server: TestServer;

  beforeEach(async () => {
    location = await engine.createLocation();
    server = await startServer({ db: engine.connect(location), agent: { tools: [careful] } });
  });
  afterEach(() => server.close());

  /** A paused run of the session `s`, and what goes on with it. */
  async function paused() {
    const answer = await server.run({ message: "[[tool=careful {}]]", session_id: "s", stream: false });
    const { run_id, status, requirements } = await answer.json();
    expect(status).toBe("paused");
    const tools = [{ tool_call_id: requirements[0].tool_execution.tool_call_id, confirmed: true }];
    const proceed = () =>
      fetch(`${server.url}/agents/copilot/runs/${run_id}/continue`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ stream: false, tools }),
      });
    return { runId: run_id as string, proceed };
  }

  test("what was asked of a run before its pause does not end it after it was continued", async () => {
    const { runId, proceed } = await paused();
    await query(engine, location, `UPDATE runs SET cancel_requested_at = 1 WHERE run_id = '${runId}'`);
    expect(await (await proceed()).json()).toMatchObject({ status: "completed" });
    const rows = await query(engine, location, "SELECT status, cancel_requested_at FROM runs");
    expect(rows).toEqual([{ status: "completed", cancel_requested_at: null }]);
  });

  test.runIf(engine.name === "postgres")(
    "a run whose session is being deleted is not continued",
    async () => {
      const { proceed } = await paused();
      const other = new pg.Client({ connectionString: location, options: "-c search_path=agentos" });
      const watcher = new pg.Client(location);
      await Promise.all([other.connect(), watcher.connect()]);
      await other.query("BEGIN");
      await other.query("DELETE FROM sessions WHERE session_id = 's'");
      const continued = proceed();
      await vi.waitUntil(async () => {
        const { rowCount } = await watcher.query(
          "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        );
        return rowCount === 1;
      }, 5_000);
      await other.query("COMMIT");
      expect((await continued).status).toBe(409);
      expect(await query(engine, location, "SELECT status FROM runs")).toEqual([{ status: "paused" }]);
      await Promise.all([other.end(), watcher.end()]);
    },
  );
});
