import { send } from "./memories.ts";

/** A session as it is answered, as far as tests look at it. */
export interface Session {
  session_id: string;
  session_name: string;
  user_id: string | null;
  agent_id: string;
  session_state: Record<string, unknown>;
  metadata: Record<string, unknown> | null;
  session_summary: Record<string, unknown> | null;
  metrics: Record<string, number>;
  total_tokens: number | null;
  chat_history: { id: string; role: string; content?: string; files?: { id: string; url: string }[] }[];
  snippet?: string;
}

/** A page of sessions. */
export interface SessionPage {
  data: Session[];
  meta: {
    page: number;
    limit: number;
    total_pages: number;
    total_count: number;
    total_is_capped?: boolean;
    next_cursor?: string;
  };
}

/** A run with files as it is answered, as far as tests look at it. */
export interface RunWithFiles {
  run_id: string;
  input: { files: { id: string; url: string }[] };
}

/** What tests ask of sessions, over HTTP. */
export class Sessions {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** Makes a session. */
  async create(body: object): Promise<Session> {
    const answer = await send(this.url, "POST", "/sessions", body);
    if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Session;
  }

  /** A page, with these query parameters. */
  async list(query: string): Promise<SessionPage> {
    const answer = await fetch(`${this.url}/sessions?${query}`);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as SessionPage;
  }

  /** The ids of a page. */
  async ids(query: string): Promise<string[]> {
    return (await this.list(query)).data.map(({ session_id }) => session_id);
  }

  /** One session. */
  async get(id: string, query = ""): Promise<Session> {
    const answer = await fetch(`${this.url}/sessions/${id}?${query}`);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Session;
  }

  /** The status of a request. */
  async status(method: string, path: string, body?: unknown): Promise<number> {
    const answer =
      body === undefined
        ? await fetch(this.url + path, { method })
        : await send(this.url, method, path, body);
    await answer.arrayBuffer();
    return answer.status;
  }

  /** The runs of a session. */
  async runs<T = { run_id: string; run_input: string; status: string }>(
    id: string,
    query = "",
  ): Promise<T[]> {
    return (await (await fetch(`${this.url}/sessions/${id}/runs?${query}`)).json()) as T[];
  }

  /** Sends a run with files, not streamed. */
  async runWithFiles(fields: Record<string, string>, ...texts: string[]): Promise<RunWithFiles> {
    const form = new FormData();
    for (const [name, value] of Object.entries({ stream: "false", ...fields })) form.set(name, value);
    for (const [i, text] of texts.entries()) {
      form.append("files", new File([text], `file${i}.txt`, { type: "text/plain" }));
    }
    const answer = await fetch(`${this.url}/agents/copilot/runs`, { method: "POST", body: form });
    return (await answer.json()) as RunWithFiles;
  }
}
