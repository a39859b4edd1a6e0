/** A memory as it is answered, as far as tests look at it. */
export interface Memory {
  memory_id: string;
  memory: string;
  topics: string[];
  user_id: string;
  agent_id: string | null;
  run_id?: string;
  session_id?: string;
  input?: string;
  created_at: string;
  updated_at: string;
}

/** A page of memories. */
export interface MemoryPage {
  data: Memory[];
  meta: {
    page: number;
    limit: number;
    total_pages: number;
    total_count: number;
    total_is_capped?: boolean;
    next_cursor?: string;
  };
}

/** Sends a request with a JSON body. */
export function send(url: string, method: string, path: string, body: unknown): Promise<Response> {
  return fetch(url + path, {
    method,
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** Remembers something of a user over HTTP. */
export async function remember(
  url: string,
  user_id: string,
  memory: string,
  topics: string[] = [],
): Promise<Memory> {
  const answer = await send(url, "POST", "/memories", { memory, topics, user_id });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Memory;
}

/** A page of memories, with these query parameters. */
export async function list(url: string, query: string): Promise<MemoryPage> {
  return (await (await fetch(`${url}/memories?${query}`)).json()) as MemoryPage;
}

/** The texts of a user's memories, oldest first. */
export async function textsOf(url: string, user_id: string): Promise<string[]> {
  const page = await list(url, `user_id=${user_id}&sort_by=created_at&sort_order=asc&limit=1000`);
  return page.data.map(({ memory }) => memory);
}
