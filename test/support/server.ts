import {
  Agent,
  type AgentOptions,
  AgentOS,
  type AgentOSOptions,
  type Database,
  OpenAIResponses,
  type ServeOptions,
} from "agentos-ts";
import { loadForRuns } from "./load-for-runs.ts";
import { type MockModel, startMockModel } from "./mock-model.ts";

/** A server under test, listening on a port of its own, with the stand-in for the model behind it. */
export interface TestServer {
  url: string;
  os: AgentOS;
  agent: Agent;
  model: MockModel;
  /** POSTs JSON to `/agents/copilot/runs`. */
  run(body: object): Promise<Response>;
  close(): Promise<void>;
}

/** Starts a server with one agent, `copilot`, that keeps its history. */
export async function startServer(
  options: {
    db?: Database;
    agent?: Partial<AgentOptions>;
    os?: Partial<AgentOSOptions>;
    serve?: ServeOptions;
  } = {},
): Promise<TestServer> {
  await loadForRuns();
  const model = await startMockModel();
  const agent = new Agent({
    id: "copilot",
    model: new OpenAIResponses({ id: "gpt-5.5", apiKey: "test", baseUrl: model.url }),
    addHistoryToContext: true,
    retryDelay: 0.01,
    ...(options.db && { db: options.db }),
    ...options.agent,
  });
  const os = new AgentOS({ agents: [agent], drainTimeout: 5, ...options.os });
  const { url } = await os.serve({ port: 0, banner: false, handleSignals: false, ...options.serve });
  return {
    url,
    os,
    agent,
    model,
    run: (body) =>
      fetch(`${url}/agents/copilot/runs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    async close() {
      await os.close();
      await model.close();
    },
  };
}
