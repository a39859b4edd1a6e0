import {
  Agent,
  type AgentOptions,
  AgentOS,
  type AnyAgent,
  type JsonObject,
  OpenAIResponses,
  type RunEvent,
  SqliteDb,
} from "agentos-ts";
import { onTestFinished } from "vitest";
import { type MockModel, startMockModel } from "../support/mock-model.ts";

/** An agent under test, with a database of its own, and the stand-in for OpenAI behind it. All go with the test. */
export async function createAgent<
  TOutput = string,
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
>(
  options: Partial<AgentOptions<TOutput, TState, TDependencies>> = {},
): Promise<{ agent: Agent<TOutput, TState, TDependencies>; mock: MockModel }> {
  const mock = await startMockModel();
  onTestFinished(mock.close);
  const db = new SqliteDb({ path: ":memory:" });
  onTestFinished(() => db.close());
  const agent = new Agent<TOutput, TState, TDependencies>({
    id: "copilot",
    model: new OpenAIResponses({ id: "gpt-5.5", apiKey: "test", baseUrl: mock.url }),
    db,
    retryDelay: 0.001,
    ...options,
  });
  return { agent, mock };
}

/** What a server with this agent answers to a GET. */
export async function ask(agent: AnyAgent, path: string): Promise<JsonObject> {
  const app = new AgentOS({ agents: [agent] }).getApp();
  return (await app.request(path)).json();
}

/** A promise that somebody else resolves. */
export function gate(): { open: () => void; passed: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, passed: promise };
}

/** All that an agent's stream gives. */
export async function collect(stream: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}
