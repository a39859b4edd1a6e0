import { describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { add } from "../support/run-tools.ts";
import { runsOf } from "../support/runs.ts";
import { query } from "../support/second-connection.ts";
import { startServer } from "../support/server.ts";

const noted =
  "INSERT INTO noted SELECT NEW.first_index, NEW.events, checkpoint_index FROM runs WHERE run_id = NEW.run_id;";

/** Notes each stretch of a log as it is written, and where the run's checkpoint stands then. */
const notes = {
  sqlite: [
    "CREATE TABLE noted (first_index, events, checkpoint_index)",
    `CREATE TRIGGER noting AFTER INSERT ON run_events BEGIN ${noted} END`,
  ],
  postgres: [
    "CREATE TABLE agentos.noted (first_index int, events text, checkpoint_index int)",
    `CREATE FUNCTION agentos.noting() RETURNS trigger LANGUAGE plpgsql SET search_path = agentos
     AS $$ BEGIN ${noted} RETURN NEW; END $$`,
    "CREATE TRIGGER noting AFTER INSERT ON agentos.run_events FOR EACH ROW EXECUTE FUNCTION agentos.noting()",
  ],
};

describe.each(engines)("on $name", (engine) => {
  test("the result of a tool is never stored without its checkpoint: a takeover would make the call again", async () => {
    const location = await engine.createLocation();
    const server = await startServer({ db: engine.connect(location), agent: { tools: [add] } });
    for (const statement of notes[engine.name]) await query(engine, location, statement);
    // Calls that take no time end while the write is told of that let them begin.
    const calls = '[[tool=add {"a":1,"b":2}]]'.repeat(4);
    const accepted = await Promise.all(
      Array.from({ length: 24 }, async () => {
        const answer = await server.run({ message: calls, background: true });
        return ((await answer.json()) as { run_id: string }).run_id;
      }),
    );
    for (const id of accepted) {
      expect(await runsOf(server).ended(id)).toMatchObject({ status: "completed" });
    }
    const rows = await query<{ first_index: number; events: string; checkpoint_index: number }>(
      engine,
      location,
      "SELECT * FROM noted",
    );
    const results = rows.flatMap(({ first_index, events, checkpoint_index }) =>
      (JSON.parse(events) as { event: string }[])
        .map(({ event }, i) => ({ event, index: first_index + i, checkpoint_index }))
        .filter(({ event }) => event === "ToolCallCompleted"),
    );
    expect(results.length).toBeGreaterThanOrEqual(4 * accepted.length);
    expect(results.filter(({ index, checkpoint_index }) => index > checkpoint_index)).toEqual([]);
    await server.close();
  });
});
