/** What became of one memory of a user, as an event tells it. A deleted one is named and not quoted: it is forgotten. */
export interface MemoryChange {
  op: "add" | "update" | "delete";
  memory_id: string;
  /** Its text from now on. */
  memory?: string;
  /** Its topics from now on. */
  topics?: string[];
}
