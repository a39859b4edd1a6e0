/** What makes a new run repeatable: the same key with the same fields is the same run. */
export function repeatableBy(key: string = newKey()): { headers: Record<string, string>; repeatable: true } {
  return { headers: { "idempotency-key": key }, repeatable: true };
}

/** `crypto.randomUUID` is not there in pages without TLS. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
