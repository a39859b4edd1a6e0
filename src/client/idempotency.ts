/** Whether the server takes `Idempotency-Key`. Without it a run whose answer was lost is not sent again. */
const isTaken = false;

/** What makes a new run repeatable: the same key is the same run. */
export function repeatableBy(key: string | undefined): {
  headers?: Record<string, string>;
  repeatable: boolean;
} {
  if (!isTaken && key === undefined) return { repeatable: false };
  return { headers: { "idempotency-key": key ?? newKey() }, repeatable: true };
}

/** `crypto.randomUUID` is not there in pages without TLS. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
