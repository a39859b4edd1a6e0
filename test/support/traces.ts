import { send } from "./memories.ts";
import type { TestServer } from "./server.ts";

/** A span in a trace's tree. */
export interface TraceNode {
  id: string;
  name: string;
  type: string;
  status: string;
  duration: string;
  start_time: string;
  end_time: string;
  input?: string;
  output?: string;
  error?: string;
  metadata: Record<string, unknown>;
  spans?: TraceNode[];
}

/** A trace as it is answered. */
export interface Trace {
  trace_id: string;
  name: string;
  status: string;
  duration: string;
  start_time: string;
  end_time: string;
  total_spans: number;
  error_count: number;
  input: string;
  output: string;
  run_id: string;
  session_id: string;
  user_id: string | null;
  agent_id: string;
  tree: TraceNode[];
  spans_left_out?: number;
}

/** A page of traces. */
export interface TracePage {
  data: Trace[];
  meta: { page: number; limit: number; total_pages: number; total_count: number };
}

/** What tests ask of traces, over HTTP. */
export class Traces {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** A page of a list. */
  async list(query = ""): Promise<TracePage> {
    const answer = await fetch(`${this.url}/traces?${query}`);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as TracePage;
  }

  /** A page of a search. */
  async search<T = TracePage>(body: object): Promise<T> {
    const answer = await send(this.url, "POST", "/traces/search", body);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  /** A trace with its tree. */
  async get(id: string, query = ""): Promise<Trace> {
    const answer = await fetch(`${this.url}/traces/${id}?${query}`);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Trace;
  }

  /** The trace of a run, once it is stored: that is a moment after the run's end. */
  async ofRun(runId: string): Promise<Trace> {
    const { data } = await this.until(`run_id=${runId}`, 1);
    return this.get(data[0]!.trace_id, `run_id=${runId}`);
  }

  /** A list, once it has so many entries. */
  async until(query: string, count: number): Promise<TracePage> {
    for (const since = Date.now(); ; await new Promise((resolve) => setTimeout(resolve, 25))) {
      const page = await this.list(query);
      if (page.meta.total_count >= count) return page;
      if (Date.now() - since > 15_000) {
        throw new Error(`${page.meta.total_count} of ${count} traces came for ${query}`);
      }
    }
  }
}

/** A finished run, not streamed. */
export interface FinishedRun {
  run_id: string;
  session_id: string;
  status: string;
  content: string;
  metrics: Record<string, number | null>;
}

/** Does a run to its end. */
export async function finished(server: TestServer, body: object): Promise<FinishedRun> {
  const answer = await server.run({ stream: false, ...body });
  return (await answer.json()) as FinishedRun;
}

/** All spans of a tree, those above first. */
export function flat(nodes: readonly TraceNode[]): TraceNode[] {
  return nodes.flatMap((node) => [node, ...flat(node.spans ?? [])]);
}
