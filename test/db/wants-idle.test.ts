import { afterEach, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;
afterEach(() => server.close());

test.each(engines)(
  "on $name, a run that has to be done alone is known to have waited, to a part of a millisecond",
  async (engine) => {
    const location = await engine.createLocation();
    const db = engine.connect(location);
    server = await startServer({ db });
    const { run_id } = await (await server.run({ message: "hi", stream: false })).json();
    const idle = () => db.queue().wantsIdle(["copilot"], 3000.25);
    expect(await idle()).toBe(false);
    await query(
      engine,
      location,
      `UPDATE runs SET status = 'pending', background = 1, crashes = 2, available_at = ${Date.now() - 60_000}
       WHERE run_id = '${run_id}'`,
    );
    expect(await idle()).toBe(true);
  },
);
