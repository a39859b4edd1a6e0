import { withinBudget } from "../agent/history.ts";
import type { LoopContext } from "../agent/loop-context.ts";
import type { RunRequest } from "../agent/runner.ts";
import type { SessionSummary } from "../agent/summary.ts";
import type { Attached, SessionStart } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import type { JsonObject } from "../events/json.ts";
import { type Message, mediaIn } from "../events/messages.ts";
import type { ModelMessage } from "../models/model.ts";
import type { RunCheckpoint } from "./checkpoint.ts";
import type { LiveRun } from "./live-run.ts";
import { attachmentOf } from "./media.ts";
import { userMemories } from "./remember.ts";

/** A session's state as a run begins with it: the agent's defaults, what is stored, what the run brings. */
export function stateOf({ agent, sessionState }: RunRequest, session: SessionStart): JsonObject {
  // A copy, and as JSON: what cannot be stored must not seem to be there.
  return JSON.parse(
    JSON.stringify({ ...agent.sessionState, ...session.state, ...sessionState }),
  ) as JsonObject;
}

/** Puts together all that the loop needs to know of a run. */
export async function prepare(
  run: LiveRun,
  request: RunRequest,
  session: SessionStart,
  state: JsonObject,
  store: Store,
  checkpoint: RunCheckpoint | undefined,
  historyBefore: number | undefined,
): Promise<LoopContext> {
  const { agent } = request;
  const { runId, sessionId, userId, input, metadata } = run.identity;
  const { input_content: message, ...media } = input;
  return {
    agent,
    runId,
    sessionId,
    userId,
    scopes: request.scopes ?? [],
    message,
    media,
    attachments: request.attachments ?? [],
    history: await historyOf(request, sessionId, session, store, historyBefore),
    summary: agent.enableSessionSummaries ? parseSummary(session.summary) : undefined,
    memories: userMemories(agent, run.toRun(), store),
    sessionState: state,
    dependencies: request.dependencies ?? {},
    metadata,
    output: request.output ?? agent.output,
    stream: request.stream,
    signal: run.signal,
    messages: run.messages,
    said: await withFiles(run.messages, store),
    resumed: checkpoint && {
      text: String(run.fold.content),
      tools: run.fold.tools,
    },
    // As it is here: the calls that the loop begins are its own.
    begun: new Set(run.begun),
    observer: run.telemetry,
  };
}

/** Messages with the bytes of their files. */
async function withFiles(messages: readonly Message[], store: Store): Promise<ModelMessage[]> {
  const files = await store.media.many(messages.flatMap(mediaIn).map(({ id }) => id));
  return messages.map((message) => {
    const attachments = mediaIn(message).flatMap(({ id }) => files.get(id) ?? []);
    return attachments.length > 0 ? { ...message, attachments: attachments.map(attachmentOf) } : message;
  });
}

async function historyOf(
  { agent }: RunRequest,
  sessionId: string,
  session: SessionStart,
  store: Store,
  before: number | undefined,
): Promise<ModelMessage[]> {
  if (!agent.addHistoryToContext || session.isNew) return [];
  const earlier = await store.runs.history({
    sessionId,
    agentId: agent.id,
    runs: agent.numHistoryRuns,
    after: session.compactedUntil ?? 0,
    ...(before !== undefined && { before }),
  });
  const messages = earlier.map((one) => ({ runId: one.runId, message: fromHistory(one) }));
  return withinBudget(messages, agent.historyTokenBudget).map(({ message }) => message);
}

function fromHistory({ message, media }: Attached): ModelMessage {
  const said: ModelMessage = { ...message, from_history: true };
  return media.length > 0 ? { ...said, attachments: media.map(attachmentOf) } : said;
}

/** The summary that a session has. A person may have written one that is none of ours. */
export function parseSummary(json: string | null): SessionSummary | undefined {
  if (json === null) return undefined;
  const summary = JSON.parse(json) as Partial<SessionSummary> | null;
  if (typeof summary?.summary !== "string") return undefined;
  return { ...summary, summary: summary.summary, topics: summary.topics ?? [] };
}
