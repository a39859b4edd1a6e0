import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** The tokens of service accounts: a word to know them by, the account's id, and a secret. */

const prefix = "agentos_sa_";
const form = /^agentos_sa_([0-9a-f]{24})_([A-Za-z0-9_-]{43})$/;

/** Whether a token is meant to be one of a service account. */
export function isServiceAccountToken(token: string): boolean {
  return token.startsWith(prefix);
}

/** Makes a token: an id of 96 bits, a secret of 256. */
export function newServiceAccountToken(): { token: string; accountId: string } {
  const accountId = randomBytes(12).toString("hex");
  return { token: `${prefix}${accountId}_${randomBytes(32).toString("base64url")}`, accountId };
}

/** The account that a token names; undefined where it cannot be one of ours. */
export function accountIdOf(token: string): string | undefined {
  return form.exec(token)?.[1];
}

/** What is stored in a token's place. The secret is random and long: one round of SHA-256 is enough. */
export function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Compares in a time that does not tell how much of it is right. */
export function sameSecret(a: string, b: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

/** How a token begins, for people to know it by. */
export function displayPrefix(token: string): string {
  return token.slice(0, prefix.length + 8);
}
