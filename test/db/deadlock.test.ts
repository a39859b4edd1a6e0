import pg from "pg";
import { expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { remember } from "../support/run-tools.ts";
import { runsOf } from "../support/runs.ts";
import { startServer } from "../support/server.ts";

const postgres = engines[1]!;

const session = "SELECT 1 FROM sessions WHERE session_id = 's' FOR UPDATE";
const run = "UPDATE runs SET cancel_requested_at = NULL WHERE session_id = 's'";

test.each([
  ["its session first, as a run that interrupts it does", session, run],
  ["its row first", run, session],
])(
  "the end of a run that changes its session's state is stored beside a transaction that locks %s",
  async (_, first, second) => {
    const url = await postgres.createLocation();
    const server = await startServer({ db: postgres.connect(url), agent: { tools: [remember] } });
    const other = new pg.Client({ connectionString: url, options: "-c search_path=agentos" });
    const watcher = new pg.Client(url);
    await Promise.all([other.connect(), watcher.connect()]);

    const message = '[[tool=remember {"key":"a","value":"b"}]] [[tokens=40]] [[delay=20]]';
    const accepted = await runsOf(server).create({ message, session_id: "s", background: true });
    const { run_id } = (await accepted.json()) as { run_id: string };
    const running = "SELECT 1 FROM agentos.runs WHERE status = 'running'";
    await vi.waitUntil(async () => (await watcher.query(running)).rowCount === 1);
    await other.query("BEGIN");
    await other.query(first);
    const waiting =
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    await vi.waitUntil(async () => (await watcher.query(waiting)).rowCount! > 0, 10_000);
    await other.query(second);
    await other.query("COMMIT");

    const answer = await vi.waitUntil(async () => {
      const stored = await runsOf(server).get(run_id);
      return stored.status !== "running" && stored;
    }, 10_000);
    expect(answer).toMatchObject({ status: "completed", session_state: { a: "b" } });
    const { rows } = await watcher.query("SELECT state FROM agentos.sessions WHERE session_id = 's'");
    expect(JSON.parse(rows[0].state)).toEqual({ a: "b" });
    await Promise.all([other.end(), watcher.end()]);
    await server.close();
  },
);
