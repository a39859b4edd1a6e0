/** The smallest id that a run could have that was made at a time, in Unix milliseconds: ids begin with it (UUIDv7). */
export function firstIdAt(time: number): string {
  const hex = Math.max(0, Math.floor(time)).toString(16).padStart(12, "0");
  return `run_${hex.slice(0, 8)}-${hex.slice(8)}`;
}
