import { markEnd, markStart } from "../db/search.ts";
import type { FoundSession, SessionUsage, StoredSession } from "../db/sessions.ts";
import type { JsonObject } from "../events/json.ts";
import type { Message } from "../events/messages.ts";
import { isoTime, presentMessages, type Reader } from "./present.ts";
import type { Served } from "./served.ts";

/** A session as it stands in a list. */
export function presentListedSession(
  session: StoredSession | FoundSession,
  tokens: SessionUsage | undefined,
): JsonObject {
  return {
    session_id: session.sessionId,
    session_name: session.name ?? "",
    session_type: "agent",
    session_state: session.state,
    user_id: session.userId ?? null,
    agent_id: session.agentId,
    ...usage(tokens),
    ...("snippet" in session && { snippet: presentSnippet(session.snippet) }),
    created_at: time(session.createdAt),
    updated_at: time(session.updatedAt),
  };
}

/**
 * A session as it is read by itself.
 *
 * @param said - its messages, oldest first
 */
export function presentSession(
  session: StoredSession,
  { tokens, said }: { tokens: SessionUsage | undefined; said: readonly Message[] },
  served: Served,
  reader: Reader,
): JsonObject {
  return {
    user_id: session.userId ?? null,
    agent_session_id: session.sessionId,
    session_id: session.sessionId,
    session_name: session.name ?? "",
    session_summary: session.summary ?? null,
    session_state: session.state,
    agent_id: session.agentId,
    agent_data: presentAgent(served, session.agentId),
    ...usage(tokens),
    metadata: session.metadata ?? null,
    chat_history: presentMessages(said, reader),
    created_at: time(session.createdAt),
    updated_at: time(session.updatedAt),
  };
}

/** A stretch of text as HTML, with `<mark>` around what was found: nothing else in it is a tag. */
export function presentSnippet(text: string): string {
  return text
    .replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
    .replaceAll(markStart, "<mark>")
    .replaceAll(markEnd, "</mark>");
}

/** A session without a run has used nothing that could be told. */
function usage(tokens: SessionUsage | undefined): JsonObject {
  return { total_tokens: tokens?.total_tokens ?? null, metrics: tokens ? { ...tokens } : {} };
}

function presentAgent({ agents }: Served, agentId: string): JsonObject | null {
  const agent = agents.get(agentId);
  if (!agent) return null;
  const { id, provider, name } = agent.model;
  return {
    agent_id: agent.id,
    ...(agent.name !== undefined && { name: agent.name }),
    model: { name, provider, id },
  };
}

function time(milliseconds: number): string {
  return isoTime(Math.floor(milliseconds / 1000));
}
