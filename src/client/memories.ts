import type { Memory, MemoryOptimization, MemoryPage, UserMemoryStatsPage } from "./answers.ts";
import type { CallOptions } from "./options.ts";
import type { PageOptions } from "./page.ts";
import type { UserOptions } from "./sessions.ts";
import type { Transport } from "./transport.ts";
import { onWire } from "./wire-names.ts";

/** Which memories a list holds, and in which order. */
export interface MemoryListOptions extends PageOptions {
  userId?: string;
  agentId?: string;
  /** Words that a memory must have, best match first. `limit` is 100 at most then. */
  searchContent?: string;
  /** A memory must have all of them. */
  topics?: readonly string[];
  sortBy?: "updated_at" | "created_at";
  sortOrder?: "asc" | "desc";
  /** The `meta.next_cursor` of another page with the same order, in the place of `page`. */
  cursor?: string;
}

/** What a memory is made of beside its text. */
export interface MemoryOptions extends UserOptions {
  topics?: readonly string[];
}

/** What is remembered of users. */
export class Memories {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Remembers something of a user. */
  create(memory: string, { signal, ...fields }: MemoryOptions = {}): Promise<Memory> {
    const body = onWire({ memory, ...fields });
    return this.#transport.json({ method: "POST", path: ["memories"], body, signal });
  }

  /** A page of memories, or those in which words are found. */
  list({ signal, ...query }: MemoryListOptions = {}): Promise<MemoryPage> {
    return this.#transport.json({ method: "GET", path: ["memories"], query, signal });
  }

  /** One memory. */
  get(memoryId: string, { signal, ...query }: UserOptions = {}): Promise<Memory> {
    return this.#transport.json({ method: "GET", path: ["memories", memoryId], query, signal });
  }

  /** Changes a memory's text; topics that are left out stay. */
  update(memoryId: string, memory: string, { signal, ...fields }: MemoryOptions = {}): Promise<Memory> {
    const body = onWire({ memory, ...fields });
    return this.#transport.json({ method: "PATCH", path: ["memories", memoryId], body, signal });
  }

  /** Forgets a memory, whether or not it is there. */
  delete(memoryId: string, { signal, ...query }: UserOptions = {}): Promise<void> {
    return this.#transport.done({ method: "DELETE", path: ["memories", memoryId], query, signal });
  }

  /** Forgets several memories at once. */
  deleteMany(memoryIds: readonly string[], { signal, ...fields }: UserOptions = {}): Promise<void> {
    const body = onWire({ memoryIds, ...fields });
    return this.#transport.done({ method: "DELETE", path: ["memories"], body, signal });
  }

  /** The topics of memories. */
  topics({ signal, ...query }: UserOptions = {}): Promise<string[]> {
    return this.#transport.json({ method: "GET", path: ["memory_topics"], query, signal });
  }

  /** How much is remembered of each user. */
  stats({ signal, ...query }: PageOptions & UserOptions = {}): Promise<UserMemoryStatsPage> {
    return this.#transport.json({ method: "GET", path: ["user_memory_stats"], query, signal });
  }

  /**
   * Merges a user's memories into fewer, by a call of a model.
   *
   * @param options - `apply: false` is a preview; `model`: the id of a model that is served there
   */
  optimize(
    userId: string,
    { signal, ...fields }: CallOptions & { model?: string; apply?: boolean } = {},
  ): Promise<MemoryOptimization> {
    const body = onWire({ userId, ...fields });
    return this.#transport.json({ method: "POST", path: ["optimize-memories"], body, signal });
  }
}
