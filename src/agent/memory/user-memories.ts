import type { MemoryOperation, StoredMemory } from "../../db/memories.ts";
import type { MemoryChange } from "../../events/memories.ts";

/** What the agent needs of its user's memories, and of nobody else's. */
export interface UserMemories {
  /** Those that have most to do with the message, and the latest, within the agent's budget. Oldest first. */
  relevant(): Promise<StoredMemory[]>;
  /**
   * Makes changes, all of them or none.
   *
   * @throws {NotFoundError} when the user has no memory of an id
   */
  apply(operations: readonly MemoryOperation[]): Promise<MemoryChange[]>;
}
