import { afterEach, expect, test } from "vitest";
import { openPrincipal } from "../../src/db/principal.ts";
import { RunLostError } from "../../src/errors.ts";
import { defaultLogWriterOptions, LogWriter } from "../../src/runs/log-writer.ts";
import { engines } from "../support/engines.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;
afterEach(() => server.close());

test.each(engines)(
  "on $name, what an attempt that was let go of still has to write does not get into the log of the next one",
  async (engine) => {
    const location = await engine.createLocation();
    const db = engine.connect(location);
    server = await startServer({ db });
    const { run_id, session_id } = await (
      await server.run({ message: "hi", session_id: "one", stream: false })
    ).json();
    // As a run is that this process was at, let go of, and claimed again.
    await query(engine, location, "UPDATE runs SET status = 'running', attempt = 2");
    const stored = (await db.storeFor(openPrincipal).progress.get(run_id))!;
    const writer = new LogWriter(db, defaultLogWriterOptions, () => true);
    const hooks = { onStored: () => undefined, onFailed: () => undefined };
    const attempts = [1, 2].map((attempt) => {
      const place = {
        runId: run_id,
        sessionId: session_id,
        firstIndex: stored.lastIndex + 1,
        firstPosition: 9,
      };
      return writer.open({ ...place, attempt, background: true }, hooks);
    });
    // One that is on its way, so that the two come into the same batch.
    const other = writer.open(
      { runId: "run_other", sessionId: "one", attempt: 1, firstIndex: 0, firstPosition: 0, background: true },
      hooks,
    );
    const flushed = [other, ...attempts].map((run, i) => {
      run.add({
        json: JSON.stringify({ event: "RunContent", content: `of ${i}`, content_type: "str" }),
      } as never);
      return run.flush();
    });
    const [, first, second] = await Promise.allSettled(flushed);
    expect(first).toMatchObject({ status: "rejected", reason: expect.any(RunLostError) });
    expect(second).toMatchObject({ status: "fulfilled" });
    const log = await query(engine, location, "SELECT attempt, events FROM run_events ORDER BY first_index");
    expect(log.at(-1)).toMatchObject({ attempt: 2 });
    expect(JSON.stringify(log.at(-1))).toContain("of 2");
    expect(JSON.stringify(log)).not.toContain("of 1");
  },
);
