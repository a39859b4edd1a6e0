import type { AgentDefinition } from "../agent/definition.ts";
import { summarize } from "../agent/summary.ts";
import { titleOf } from "../agent/title.ts";
import type { SessionStart } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import type { Run } from "../events/run.ts";
import type { RunTelemetry } from "../telemetry/telemetry.ts";
import type { AfterRun } from "./after-run.ts";
import { parseSummary } from "./prepare.ts";

/** What a session gets after a run that completed: a title where it has none, and its summary brought up to date. */
export function keepUp(
  afterRun: AfterRun,
  {
    agent,
    run,
    session,
    store,
    telemetry,
  }: {
    agent: AgentDefinition;
    run: Run;
    session: SessionStart;
    store: Store;
    telemetry: RunTelemetry | undefined;
  },
): void {
  const { session_id } = run;
  if (agent.autoNameSessions && !session.named) {
    afterRun.add(session_id, "naming the session", run, telemetry, async (asking) => {
      const title = await titleOf(agent.model, run.messages, asking);
      if (title !== undefined) await store.notes.name(session_id, title);
    });
  }
  if (agent.enableSessionSummaries) {
    afterRun.add(session_id, "summing up the session", run, telemetry, async (asking) => {
      const note = await store.notes.get(session_id);
      if (!note) return;
      const { summary } = await summarize(agent.model, parseSummary(note.summary), run.messages, asking);
      await store.notes.summarize(session_id, JSON.stringify(summary));
    });
  }
}
