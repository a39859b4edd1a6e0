import { markEnd, markStart } from "./search.ts";

/** Words that a snippet shows, and how many of these stand before the first that was looked for. */
const shownWords = 24;
const wordsBefore = 6;

/**
 * A stretch of a text around what was looked for, with {@link markStart} and {@link markEnd} around each word that is it.
 *
 * @param words - as `wordsOf` gives them; the last one may be the beginning of one
 */
export function snippetOf(text: string, words: readonly string[]): string {
  const wanted = words.map(plain);
  const beginning = wanted.at(-1);
  const found = [...text.matchAll(/[\p{L}\p{N}\p{M}]+/gu)];
  const isHit = found.map(([word]) => {
    const given = plain(word);
    return wanted.includes(given) || (beginning !== undefined && given.startsWith(beginning));
  });
  const first = Math.max(0, densest(isHit) - wordsBefore);
  const last = Math.min(found.length, first + shownWords) - 1;
  if (last < 0) return "";
  const start = first === 0 ? 0 : found[first]!.index;
  const end = last === found.length - 1 ? text.length : found[last]!.index + found[last]![0].length;
  let snippet = first === 0 ? "" : "…";
  let at = start;
  for (let i = first; i <= last; i++) {
    if (!isHit[i]) continue;
    const { index, 0: word } = found[i]!;
    snippet += `${text.slice(at, index)}${markStart}${word}${markEnd}`;
    at = index + word.length;
  }
  return `${snippet}${text.slice(at, end)}${end === text.length ? "" : "…"}`;
}

/** Where the stretch begins that holds the most of what was looked for. */
function densest(isHit: readonly boolean[]): number {
  const reach = shownWords - wordsBefore;
  let [best, most] = [0, 0];
  for (const [i, hit] of isHit.entries()) {
    if (!hit) continue;
    const hits = isHit.slice(i, i + reach).filter(Boolean).length;
    if (hits > most) [best, most] = [i, hits];
  }
  return best;
}

/** A word without accents and in lower case: both engines' and people's idea of the same word. */
function plain(word: string): string {
  return word.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
