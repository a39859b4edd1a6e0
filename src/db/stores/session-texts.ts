import type { Kysely, QueryCreator } from "kysely";
import type { Tables } from "../schema.ts";
import { ownerWord, searchableText } from "../search.ts";

/**
 * Makes what was said in a session that is adopted findable for its owner.
 *
 * @param owner - the word that stands for the owner
 */
export function giveTexts(db: QueryCreator<Tables>, sessionId: string, owner: string) {
  return db
    .updateTable("session_texts")
    .set({ owner })
    .where("session_id", "=", sessionId)
    .where("owner", "=", "");
}

/** Makes a session findable by its name, and by no name that it had before. */
export async function putNameText(
  db: Kysely<Tables>,
  session: { sessionId: string; userId: string | undefined; name: string },
): Promise<void> {
  const owner = ownerWord(session.userId);
  const text = searchableText(session.name);
  await db
    .insertInto("session_texts")
    .values({ session_id: session.sessionId, run_id: "", owner, text })
    .onConflict((conflict) => conflict.columns(["session_id", "run_id"]).doUpdateSet({ owner, text }))
    .execute();
}
