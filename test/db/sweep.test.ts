import { describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { refuseChanges } from "../support/refusing-trigger.ts";
import { query } from "../support/second-connection.ts";

describe.each(engines)("on $name", (engine) => {
  test("runs of a dead process that cannot be ended do not keep the others back", async () => {
    const location = await engine.createLocation();
    const db = engine.connect(location);
    await db.open();
    const ids = Array.from({ length: 60 }, (_, i) => `run_${i}`);
    await query(
      engine,
      location,
      `INSERT INTO runs (run_id, session_id, agent_id, status, attempt, node_id, input, metadata, model, model_provider, created_at, updated_at)
       VALUES ${ids.map((id) => `('${id}', 's', 'copilot', 'running', 1, 'dead', '{"input_content":"x"}', '{}', 'm', 'p', 1, 1)`)}`,
    );
    await refuseChanges(engine, location, "NEW.run_id IN ('run_0', 'run_3')");
    const { ended, requeued, failed } = await db.leases().sweep();
    expect(requeued).toEqual([]);
    expect(ended[0]).toMatchObject({ session_id: "s", traceparent: null });
    expect(failed.map(({ run }) => run.run_id).toSorted()).toEqual(["run_0", "run_3"]);
    expect(ended.map(({ run_id }) => run_id).toSorted()).toEqual(
      ids.filter((id) => id !== "run_0" && id !== "run_3").toSorted(),
    );
    const open = await query<{ run_id: string }>(
      engine,
      location,
      "SELECT run_id FROM runs WHERE status = 'running' ORDER BY run_id",
    );
    expect(open.map(({ run_id }) => run_id)).toEqual(["run_0", "run_3"]);
    await db.close();
  });
});
