import { DatabaseUnavailableError } from "../../errors.ts";

/**
 * Codes that say that the file cannot be worked with, rather than that a statement was wrong: locked, out of memory, read
 * only, input or output failed, full, cannot be opened.
 *
 * @see https://sqlite.org/rescode.html
 */
const ofTheFile = new Set([5, 6, 7, 8, 10, 13, 14]);

/** The error as it is told to callers: whether the database is away, or something else went wrong. */
export function unavailable(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof DatabaseUnavailableError) return error;
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  // The low byte of an extended code is the plain one. What the disk itself says comes without one.
  const away =
    typeof errcode === "number"
      ? ofTheFile.has(errcode & 0xff)
      : /^E(?:IO|NOSPC|DQUOT|ROFS)$/.test(String(code));
  return away
    ? new DatabaseUnavailableError(`The database cannot be written: ${error.message}. Try again.`, {
        cause: error,
      })
    : error;
}
