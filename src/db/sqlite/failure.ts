import { DatabaseUnavailableError } from "../../errors.ts";

/**
 * Codes that say that the file cannot be worked with, rather than that a statement was wrong: locked, out of memory, read
 * only, input or output failed, full, cannot be opened.
 *
 * @see https://sqlite.org/rescode.html
 */
const ofTheFile = new Set([5, 6, 7, 8, 10, 13, 14]);

/** What went wrong, as it can be sent to another thread: an error would lose its codes on the way. */
export interface Failure {
  message: string;
  errcode?: unknown;
  code?: unknown;
}

/** An error that was caught, to be sent. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error) };
  const { errcode, code } = error as Failure;
  return { message: error.message, errcode, code };
}

/** Whether the file cannot be worked with. */
export function isOfTheFile({ errcode, code }: Failure): boolean {
  // The low byte of an extended code is the plain one. What the disk itself says comes without one.
  return typeof errcode === "number"
    ? ofTheFile.has(errcode & 0xff)
    : /^E(?:IO|NOSPC|DQUOT|ROFS)$/.test(String(code));
}

/** A failure as the error that callers get: whether the database is away, or something else went wrong. */
export function errorOf(failure: Failure): Error {
  return failureFor(Object.assign(new Error(failure.message), failure));
}

/** The same for an error that was caught here. */
export function unavailable(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof DatabaseUnavailableError) return error;
  return failureFor(error);
}

function failureFor(error: Error): Error {
  if (!isOfTheFile(error as unknown as Failure)) return error;
  return new DatabaseUnavailableError(`The database cannot be written: ${error.message}. Try again.`, {
    cause: error,
  });
}
