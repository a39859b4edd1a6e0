import type { Kysely } from "kysely";
import type { Tables } from "../schema.ts";
import { ownerWord, searchableText } from "../search.ts";

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
