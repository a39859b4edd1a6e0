/** What is known of a run wherever a line of the log is about it: columns of its row. */
export interface NamedRun {
  run_id: string;
  session_id: string;
  /** The span above it, as W3C's `traceparent` header has it. One that names no span is not kept. */
  traceparent?: string | null | undefined;
}

/** What names a run in every line of the server's log. */
export interface LogIds {
  run_id: string;
  session_id: string;
  trace_id: string;
}

/** What names a run in the server's log, where nobody listens to it. */
export function logIdsOf({ run_id, session_id, traceparent }: NamedRun): LogIds {
  return { run_id, session_id, trace_id: traceparent?.split("-")[1] ?? traceIdOf(run_id) };
}

/** The trace of a run that nobody's span is above: whoever goes on with the run finds the same. */
export function traceIdOf(runId: string): string {
  return runId.replace(/^run_/, "").replaceAll("-", "");
}
