/** Something that is remembered of a user. */
export interface StoredMemory {
  memoryId: string;
  userId: string;
  /** The agent that wrote it; absent where a person or an optimization did. */
  agentId?: string;
  memory: string;
  topics: string[];
  /** What the user had said when it was written. */
  input?: string;
  /** The run and the session in which it was written. */
  runId?: string;
  sessionId?: string;
  /** Unix time in milliseconds. */
  createdAt: number;
  updatedAt: number;
}

/** A memory's text and topics, before it is stored. */
export interface MemoryText {
  memory: string;
  topics: readonly string[];
}

/** Where a memory comes from. */
export type MemorySource = Pick<StoredMemory, "agentId" | "runId" | "sessionId" | "input">;

/** One change of a user's memories. */
export type MemoryOperation =
  | { op: "add"; memory: string; topics?: readonly string[] }
  /** What is left out stays as it is. */
  | { op: "update"; memoryId: string; memory?: string; topics?: readonly string[] }
  | { op: "delete"; memoryId: string };

/** Which memories a list holds. */
export interface MemoryFilter {
  userId?: string;
  agentId?: string;
  /** A memory must have all of them. */
  topics?: readonly string[];
  /** Words that it must have, the last one as the beginning of one. */
  search?: string;
}

/** Which part of a list, and in which order. With a search the best match comes first. */
export interface MemoryPage {
  limit: number;
  /** From 1. */
  page: number;
  sortBy: "updated_at" | "created_at";
  order: "asc" | "desc";
  /** Goes on after the last memory of another page, at the same cost however far that is. */
  cursor?: MemoryCursor;
}

/** The place of a memory in a sorted list. */
export interface MemoryCursor {
  time: number;
  memoryId: string;
}

/** What is remembered of one user, in numbers. */
export interface MemoryStats {
  userId: string;
  count: number;
  /** Unix time in milliseconds. */
  updatedAt: number;
}

/** Characters that a memory may have, how many topics, and characters of one. */
export const memoryLimits = { memory: 5000, topics: 20, topic: 100 } as const;

/** Rows that are counted at most: the count of a longer list stays there. */
export const mostCounted = 10_000;
