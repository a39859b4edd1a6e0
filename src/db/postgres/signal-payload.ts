import type { Signal } from "../signals.ts";

/**
 * Bytes of a payload at most. PostgreSQL takes 7,999, and fails the transaction of a longer one.
 *
 * @see https://www.postgresql.org/docs/current/sql-notify.html
 */
const payloadLimit = 7_999;

/**
 * Signals as payloads of NOTIFY, as many in each as fit: a JSON array of who sends them and the signals. Without any it is
 * one that says who is there.
 *
 * @param sender - by what a process knows its own again
 */
export function payloadsOf(sender: string, signals: readonly Signal[]): string[] {
  const start = `[${JSON.stringify(sender)}`;
  const payloads: string[] = [];
  let payload = start;
  let bytes = Buffer.byteLength(payload);
  for (const signal of signals) {
    const json = JSON.stringify(signal);
    const more = Buffer.byteLength(json) + 1;
    if (bytes + more + 1 > payloadLimit && payload !== start) {
      payloads.push(`${payload}]`);
      payload = start;
      bytes = Buffer.byteLength(start);
    }
    payload += `,${json}`;
    bytes += more;
  }
  if (payload !== start || payloads.length === 0) payloads.push(`${payload}]`);
  return payloads;
}

/** Reads a payload. What a later version sends and this one does not know is left out, and so is what is no payload. */
export function readPayload(payload: string): { sender: string; signals: Signal[] } {
  let parts: unknown;
  try {
    parts = JSON.parse(payload);
  } catch {
    parts = undefined;
  }
  if (!Array.isArray(parts)) return { sender: "", signals: [] };
  const [sender, ...signals] = parts as unknown[];
  return { sender: String(sender), signals: signals.filter(isSignal) };
}

function isSignal(value: unknown): value is Signal {
  if (typeof value !== "object" || value === null) return false;
  const { kind, runId, sessionId, index } = value as Record<string, unknown>;
  switch (kind) {
    case "log":
      return typeof runId === "string" && Number.isInteger(index);
    case "cancel":
      return typeof runId === "string";
    case "session":
      return typeof runId === "string" && typeof sessionId === "string";
    default:
      return kind === "queue";
  }
}
