/**
 * Whether a provider that answers with this HTTP status may accept the same request later.
 *
 * @param status - the HTTP status
 */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

/**
 * How long a provider asks to be left alone, by its `retry-after-ms` or `retry-after` header.
 *
 * @param headers - the answer's headers, names in lower case
 * @returns seconds, not negative; undefined where the provider asks for nothing that can be read
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function retryAfterSeconds(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): number | undefined {
  const milliseconds = numberIn(headers["retry-after-ms"]);
  if (milliseconds !== undefined) return milliseconds / 1000;
  const value = headers["retry-after"];
  const seconds = numberIn(value);
  if (seconds !== undefined) return seconds;
  if (typeof value !== "string") return undefined;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

function numberIn(value: string | string[] | undefined): number | undefined {
  return typeof value === "string" && /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : undefined;
}

const longestMessage = 1000;

/**
 * Makes a provider's message fit to be shown and logged: on one line, not endless, without API keys.
 * Providers do quote the key that they refuse, in part or in full.
 *
 * @param message - what the provider said
 * @param key - the key that was sent with the request
 */
export function presentable(message: string, key?: string): string {
  let text = message.replace(/\s+/g, " ").trim();
  // Servers that need no key get any text as one: `none` must stay readable.
  if (key && key.length >= 12) text = text.replaceAll(key, "[key]");
  text = text.replace(/\b(?:(?:sk|rk|gsk|xai)-[\w*.-]{8,}|AIza[\w-]{20,})/g, "[key]");
  return text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text;
}

/**
 * The sentence a message ends with: with its full stop, which providers put there or not.
 *
 * @param message - text that may or may not end a sentence
 */
export function asSentence(message: string): string {
  return /[.!?…]$/.test(message) ? message : `${message}.`;
}

/**
 * The code of a network error, such as `ECONNREFUSED`, wherever in the chain of causes it stands.
 *
 * @param error - what was caught
 */
export function networkCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string") return at.code;
    if (at instanceof AggregateError && at.errors.length > 0) return networkCode(at.errors[0]);
  }
  return undefined;
}
