import type { AgentDefinition } from "../agent/definition.ts";
import { estimateTokens } from "../agent/history.ts";
import { summarize } from "../agent/summary.ts";
import type { Store } from "../db/store.ts";
import { AgentOSError, NotFoundError } from "../errors.ts";
import type { TokenUsage } from "../events/metrics.ts";
import { parseSummary } from "./prepare.ts";

/** What came of a wish to compact a session, as the wire has it. */
export interface Compaction {
  status:
    | "compacted"
    | "not_worth_it"
    | "nothing_to_fold"
    | "already_compacted"
    | "no_history"
    | "not_enabled"
    | "summary_failed";
  message: string;
  compacted: boolean;
  record: { messages_compacted: number; tokens_before: number; tokens_after: number } | null;
  metrics: TokenUsage | null;
}

/** Runs that are folded at once. */
const mostRuns = 100;

/**
 * Folds what was said in a session before its last exchange into its summary: the model is sent that in its place. The
 * stored transcript stays as it is.
 *
 * @throws {NotFoundError} when the principal, or that user, has no such session
 */
export async function compactSession(
  agent: AgentDefinition,
  store: Store,
  session: { sessionId: string; userId?: string },
): Promise<Compaction> {
  const { sessionId } = session;
  const note = await store.notes.get(sessionId, session.userId);
  if (!note) throw new NotFoundError("Session not found");
  if (!agent.enableSessionSummaries) {
    return declined("not_enabled", `The agent "${agent.id}" keeps no summaries: set enableSessionSummaries.`);
  }
  const history = await store.runs.history({
    sessionId,
    agentId: agent.id,
    runs: mostRuns,
    after: note.compactedUntil ?? 0,
  });
  const last = history.at(-1);
  if (!last && note.compactedUntil === null) return declined("no_history", "Nothing was said yet.");
  const folded = history.filter(({ runId }) => runId !== last?.runId);
  if (folded.length === 0) {
    return note.compactedUntil === null
      ? declined("nothing_to_fold", "There is only one exchange, and the last one stays.")
      : declined("already_compacted", "All but the last exchange is told by the summary already.");
  }
  const messages = folded.map(({ message }) => message);
  const before = parseSummary(note.summary);
  try {
    const { summary, usage } = await summarize(agent.model, before, messages);
    const record = {
      messages_compacted: messages.length,
      tokens_before: estimateTokens(messages),
      tokens_after: Math.ceil(summary.summary.length / 4),
    };
    if (record.tokens_after >= record.tokens_before) {
      return {
        ...declined("not_worth_it", "The summary would be longer than what was said."),
        record,
        metrics: usage,
      };
    }
    await store.notes.summarize(sessionId, JSON.stringify(summary), folded.at(-1)!.order);
    const message = `${messages.length} messages are told by the summary now.`;
    return { status: "compacted", message, compacted: true, record, metrics: usage };
  } catch (error) {
    if (!(error instanceof AgentOSError)) throw error;
    return declined("summary_failed", `The model gave no summary: ${error.message}`);
  }
}

function declined(status: Compaction["status"], message: string): Compaction {
  return { status, message, compacted: false, record: null, metrics: null };
}
