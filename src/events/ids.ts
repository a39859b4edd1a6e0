import { getRandomValues } from "node:crypto";
import { v7 } from "uuid";

/** Random bytes for many ids at once: asking the system for 16 costs as much as asking for 4,096. */
const pool = new Uint8Array(4096);
let used = pool.length;

/**
 * A new id, sortable by the time at which it was made.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
 */
export function newId(): string {
  if (used === pool.length) {
    getRandomValues(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + 16);
  used += 16;
  return v7({ random });
}
