import type { TestServer } from "./server.ts";

/** A run as the server answers it. */
export interface AnsweredRun {
  run_id: string;
  session_id: string;
  status: string;
  content: string;
  [field: string]: unknown;
}

/** Calls of the runs of `copilot` on a server. */
export function runsOf(server: Pick<TestServer, "url">) {
  const path = `${server.url}/agents/copilot/runs`;
  const get = async (runId: string): Promise<AnsweredRun> => (await fetch(`${path}/${runId}`)).json();
  return {
    get,
    /** Sends a run as JSON. */
    create: (body: object, headers: Record<string, string> = {}) =>
      fetch(path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
    cancel: (runId: string) => fetch(`${path}/${runId}/cancel`, { method: "POST" }),
    /** The events of a run from an index on; resolves when it has ended. */
    resume: (runId: string, after = -1) =>
      fetch(`${path}/${runId}/resume?last_event_index=${after}`, { method: "POST" }),
    /** The run once it has ended or paused: its log is followed to there. */
    async ended(runId: string): Promise<AnsweredRun> {
      await (await fetch(`${path}/${runId}/resume`, { method: "POST" })).text();
      return get(runId);
    },
  };
}
