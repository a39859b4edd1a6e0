// What a page's script does with the client, in TypeScript. It is only checked.
import { AgentOSClient, ApiError, type RunEvent, type Session } from "agentos-ts/client";

const client = new AgentOSClient({ baseUrl: location.origin, token: async () => "fresh" });

export async function ask(message: string, show: (text: string) => void): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const stream = client.agents.stream("copilot", message, { sessionId: "thread-42" });
  document.addEventListener("abort", () => void stream.cancel());
  for await (const event of stream) {
    if (event.event === "RunContent") show(event.content);
    // @ts-expect-error: no event is called so
    if (event.event === "Content") show("");
    events.push(event);
  }
  return events;
}

export async function open(id: string): Promise<Session | undefined> {
  try {
    return await client.sessions.get(id);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
