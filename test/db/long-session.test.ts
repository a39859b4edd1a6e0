import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Engine, engines } from "../support/engines.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { planOf, type Statement, watchStatements } from "../support/statements.ts";

const numbers =
  "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 200000) SELECT n FROM s) AS s";

/** Fills a database with 200,000 runs, of which 5,000 are of one session. */
async function fill(engine: Engine, location: string, session: string): Promise<void> {
  await query(
    engine,
    location,
    `INSERT INTO runs (run_id, session_id, agent_id, status, attempt, input, metadata, model, model_provider, created_at, updated_at)
     SELECT 'run_seed' || n, CASE WHEN n % 40 = 0 THEN '${session}' ELSE 'other' || (n % 4999) END, 'copilot', 'completed', 1,
       '{"input_content":"x"}', '{}', 'm', 'p', n, n FROM ${numbers}`,
  );
  for (const [position, role] of ["user", "assistant"].entries()) {
    await query(
      engine,
      location,
      `INSERT INTO messages (run_id, position, role, message)
       SELECT 'run_seed' || n, ${position}, '${role}', '{"role":"${role}","content":"seed ' || n || '"}' FROM ${numbers} WHERE n % 40 = 0`,
    );
  }
  // PostgreSQL does it by itself after a while; SQLite never does.
  if (engine.name === "postgres") await query(engine, location, "ANALYZE");
}

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let location: string;
  let statements: Statement[];

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({ db: engine.connect(location) });
    for (let i = 0; i < 4; i++) await run("short");
    await run("long");
    await fill(engine, location, "long");
    statements = watchStatements(engine);
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await server.close();
  });

  const run = async (session_id: string) =>
    (await server.run({ message: "hi", session_id, stream: false })).json();

  /** Statements of a run. A write that happens to come due in the middle of one is none of its own, so the least counts. */
  async function statementsOfRun(session: string): Promise<string[]> {
    const runs: string[][] = [];
    for (let i = 0; i < 12; i++) {
      const before = statements.length;
      await run(session);
      runs.push(statements.slice(before).map(({ text }) => text));
    }
    return runs.toSorted((a, b) => a.length - b.length)[0]!;
  }

  test("a run makes the same statements in a session of 5,000 runs as in one of a few", async () => {
    const few = await statementsOfRun("short");
    const many = await statementsOfRun("long");
    expect(few.length).toBeGreaterThan(2);
    expect(many).toEqual(few);
  });

  test("the model is shown the newest runs of a long session, and no more than that", async () => {
    const { content } = await run("long");
    expect(content).toContain("(messages seen: 7)");
  });

  test("the history is read by an index", async () => {
    await run("long");
    const history = statements.findLast(({ text }) => /^select .*"messages"."message".*limit/s.test(text))!;
    const plan = await planOf(engine, location, history);
    // Not by the order of all runs, which leads through those of every other session.
    expect(plan).toMatch(/runs_for_history|runs_by_session/);
    expect(plan).not.toMatch(/Seq Scan|SCAN (?:runs|messages)\b/);
  });

  test("a list of a long session holds the newest 100, in order, and leads on", async () => {
    const answer = await fetch(`${server.url}/agents/copilot/runs?session_id=long`);
    const ids = (await answer.json()).map((listed: { run_id: string }) => listed.run_id);
    expect(ids).toHaveLength(100);
    expect(answer.headers.get("link")).toContain("rel=");
  });
});
