import type { JsonObject } from "../events/json.ts";
import type { TokenUsage } from "../events/metrics.ts";

/** A session as it is stored. */
export interface StoredSession {
  sessionId: string;
  /** The agent that it began with; empty where none was named yet. */
  agentId: string;
  userId?: string;
  name?: string;
  state: JsonObject;
  metadata?: JsonObject;
  summary?: JsonObject;
  /** Unix time in milliseconds. */
  createdAt: number;
  updatedAt: number;
}

/** What the runs of a session used in all. */
export interface SessionUsage extends TokenUsage {
  /** Null where nothing of it has a price. */
  cost: number | null;
  /** Ended runs that `cost` knows nothing of. */
  unpriced_runs_count: number;
}

/** A session that is about to be made. */
export interface NewSession {
  /** Made up where absent. */
  sessionId?: string;
  agentId?: string;
  userId?: string;
  name?: string;
  state?: JsonObject;
  metadata?: JsonObject;
}

/** What is changed of a session; what is absent stays. */
export interface SessionChange {
  name?: string;
  state?: JsonObject;
  metadata?: JsonObject;
  summary?: JsonObject;
}

/** Which session is meant. Where a user is given, it must be that user's. */
export interface SessionRef {
  sessionId: string;
  userId?: string;
}

/** Which sessions a list holds. */
export interface SessionFilter {
  userId?: string;
  /** The agent that it began with. */
  agentId?: string;
  /** A part of its name, in upper or lower case. */
  name?: string;
}

/** What lists of sessions are sorted by. */
export const sessionSorts = ["created_at", "updated_at", "session_name"] as const;

/** How a list of sessions is sorted. */
export interface SessionSort {
  by: (typeof sessionSorts)[number];
  order: "asc" | "desc";
}

/** The place of a session in a sorted list. */
export interface SessionPlace {
  /** A time in milliseconds, or a name. */
  key: number | string;
  sessionId: string;
}

/** Which part of a list: what follows `after`, at the same cost however far that is; else what follows `offset` others. */
export interface SessionPage {
  limit: number;
  offset: number;
  after?: SessionPlace;
}

/** Part of a list of sessions. */
export interface SessionList<T = StoredSession> {
  sessions: T[];
  /** How many there are in all, as far as they were counted. */
  total: number;
  /** Whether there are more than were counted. */
  isCapped: boolean;
  /** Whether others follow. */
  more: boolean;
}

/** A session that a search found. */
export interface FoundSession extends StoredSession {
  /** Where it was found: text with the marks of `search.ts` around the words. */
  snippet: string;
}

/** The place of a session in a list that is sorted so. */
export function placeOf(session: StoredSession, { by }: SessionSort): SessionPlace {
  const { sessionId, createdAt, updatedAt, name } = session;
  const key = by === "created_at" ? createdAt : by === "updated_at" ? updatedAt : (name ?? "");
  return { key, sessionId };
}
