import { type Kysely, sql } from "kysely";
import type { Engine } from "../engine.ts";
import { type SessionRow, sessionColumns, sessionOf, wanted } from "../queries/sessions.ts";
import type { Tables } from "../schema.ts";
import { ownerWord, type WordQuery, wordsOf } from "../search.ts";
import type { FoundSession, SessionFilter, SessionList, SessionPage } from "../sessions.ts";
import { snippetOf } from "../snippets.ts";
import type { Scope } from "./scope.ts";

/** Texts that a search ranks, of one user and of all. One that finds more takes the newest of them. */
const mostTexts = { ofUser: 10_000, ofAll: 1_000 };

const counted = sql<number>`CAST(count(*) AS integer)`.as("total");
const none = { sessions: [], total: 0, isCapped: false, more: false };

/** Sessions by the words of their names and of what was said in them, the best match first. */
export async function searchSessions(
  { db, search }: Engine,
  scope: Scope,
  filter: SessionFilter,
  text: string,
  page: SessionPage,
): Promise<SessionList<FoundSession>> {
  const words = wordsOf(text);
  if (words.length === 0 || scope.empty) return none;
  const { unrestricted, userId } = scope.principal;
  const owner = unrestricted ? filter.userId : userId;
  const limit = owner === undefined ? mostTexts.ofAll : mostTexts.ofUser;
  const query: WordQuery = {
    words,
    match: "all",
    limit,
    ...(owner !== undefined && { owner: ownerWord(owner) }),
  };
  await search.upToDate();
  const own = db
    .selectFrom("sessions")
    .select("sessions.session_id")
    .where((eb) => wanted(eb, scope, filter));
  const [session, rank, id] = [sql.ref("session_texts.session_id"), sql.ref("hit.rank"), sql.ref("hit.id")];
  const hits = db
    .selectFrom(search.matches("session_texts", query).as("hit"))
    .innerJoin("session_texts", "session_texts.text_id", "hit.id")
    .leftJoin(own.as("own"), "own.session_id", "session_texts.session_id")
    .select(["own.session_id", "hit.id as text_id", "hit.rank"])
    .select(sql<number>`CAST(count(*) OVER () AS integer)`.as("texts"))
    .select(
      sql<number>`row_number() OVER (PARTITION BY ${session} ORDER BY ${rank}, ${id} DESC)`.as("place"),
    );
  const best = db
    .selectFrom(hits.as("hits"))
    .where("hits.place", "=", 1)
    .where("hits.session_id", "is not", null);
  const found = await best
    .select(["hits.session_id", "hits.text_id", "hits.texts"])
    .select(sql<number>`CAST(count(*) OVER () AS integer)`.as("total"))
    .orderBy("hits.rank")
    .orderBy("hits.session_id", "desc")
    .limit(page.limit)
    .offset(page.offset)
    .execute();
  const [first] = found;
  if (!first) {
    const all = page.offset === 0 ? undefined : await best.select(counted).executeTakeFirst();
    return { ...none, total: all?.total ?? 0 };
  }
  const { total, texts } = first;
  return {
    sessions: await shown(db, scope, found, words),
    total,
    isCapped: texts >= limit,
    more: page.offset + found.length < total,
  };
}

/** The sessions of one page. Only their texts are read, and only they get a snippet. */
async function shown(
  db: Kysely<Tables>,
  scope: Scope,
  found: readonly { session_id: string | null; text_id: number }[],
  words: readonly string[],
): Promise<FoundSession[]> {
  const texts = await db
    .selectFrom("session_texts")
    .select(["text_id", "text"])
    .where(
      "text_id",
      "in",
      found.map(({ text_id }) => text_id),
    )
    .execute();
  const rows = await db
    .selectFrom("sessions")
    .select(sessionColumns)
    .where(
      "sessions.session_id",
      "in",
      found.flatMap(({ session_id }) => session_id ?? []),
    )
    .where((eb) => scope.sessions(eb))
    .execute();
  const textOf = new Map(texts.map(({ text_id, text }) => [text_id, text]));
  const rowOf = new Map<string | null, SessionRow>(rows.map((row) => [row.session_id, row]));
  return found.flatMap(({ session_id, text_id }) => {
    const row = rowOf.get(session_id);
    return row ? [{ ...sessionOf(row), snippet: snippetOf(textOf.get(text_id) ?? "", words) }] : [];
  });
}
