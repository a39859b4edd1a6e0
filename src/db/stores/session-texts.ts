import type { Kysely } from "kysely";
import type { Tables } from "../schema.ts";
import { ownerWord } from "../search.ts";

/** Makes the texts of a session that was adopted findable for its owner. */
export async function giveTexts(
  db: Kysely<Tables>,
  sessionId: string,
  userId: string | undefined,
): Promise<void> {
  await db
    .updateTable("session_texts")
    .set({ owner: ownerWord(userId) })
    .where("session_id", "=", sessionId)
    .where("owner", "=", "")
    .execute();
}
