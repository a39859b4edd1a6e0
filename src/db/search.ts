import { hash } from "node:crypto";
import { type Expression, type RawBuilder, type SqlBool, sql } from "kysely";

/** Tables whose rows are found by their words, each with the column of its text and its key. */
export const searchable = {
  session_texts: { text: "text", id: "text_id" },
  memories: { text: "memory", id: "memory_seq" },
} as const;

/** What is looked for. */
export interface WordQuery {
  /** In lower case, without signs. */
  words: readonly string[];
  /** Whether a row must have all of the words, the last one as the beginning of one; or any of them. */
  match: "all" | "any";
  /** Whose rows; everybody's where absent. */
  owner?: string;
  /** Rows that are ranked at most; where more match, the newest of them. */
  limit?: number;
}

/** Full-text search by the engine's own means. */
export interface TextSearch {
  /** Resolves once everything that was stored before the call can be found. Await it before a search. */
  upToDate(): Promise<void>;

  /**
   * The rows that match, as a table to join.
   *
   * @returns a table expression with the columns `id`, the row's key, and `rank`, the lower the better
   */
  matches(table: keyof typeof searchable, query: WordQuery): RawBuilder<{ id: number; rank: number }>;
}

/** Characters around what was found. No stored text has them: {@link searchableText} takes them out. */
export const markStart = "\u0001";
export const markEnd = "\u0002";

/** Words that a search may have; more are left out. */
const mostWords = 16;

/** The words of a text, for a search. Empty where it has none. */
export function wordsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return [...new Set(words)].slice(0, mostWords);
}

/**
 * The words of a text that tell most of what it is about, for a search for any of them. No language is assumed: the
 * longest ones do, for the shortest stand in nearly every text.
 */
export function tellingWords(text: string): string[] {
  const words = new Set(
    searchableText(text)
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu),
  );
  const long = [...words].filter((word) => word.length > 2 || !/^[a-z]+$/.test(word));
  return long.sort((a, b) => b.length - a.length).slice(0, mostWords);
}

/** Words of users that were asked for last: each run asks twice, and hashing costs more than all else that it asks. */
const ownerWords = new Map<string, string>();
const mostOwnerWords = 1000;

/** The one word that stands for a user in an index of words. */
export function ownerWord(userId: string | undefined): string {
  if (userId === undefined) return "";
  let word = ownerWords.get(userId);
  if (word === undefined) {
    word = `u${hash("sha256", userId).slice(0, 32)}`;
    if (ownerWords.size === mostOwnerWords) ownerWords.clear();
    ownerWords.set(userId, word);
  }
  return word;
}

/** Characters of a text that are searchable. PostgreSQL takes no index entry of more than 1 MiB. */
const searchableLength = 20_000;

/** A text as both engines can index it: without control characters, which PostgreSQL refuses, and not too long. */
export function searchableText(text: string): string {
  return text
    .slice(0, searchableLength)
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, " ")
    .toWellFormed();
}

/** Whether a text holds a part, whatever the case. */
export function containsText(text: Expression<unknown>, part: string): RawBuilder<SqlBool> {
  const pattern = `%${part.toLowerCase().replace(/[\\%_]/g, "\\$&")}%`;
  return sql<SqlBool>`lower(${text}) LIKE ${pattern} ESCAPE '\\'`;
}
