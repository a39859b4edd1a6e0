/**
 * A model of the Vercel AI SDK, taken as it is: any of its providers works. Without OPENAI_API_KEY a stand-in answers.
 *
 *   curl -N -X POST http://localhost:7777/agents/poet/runs -F 'message=Write a haiku'
 */
import { createOpenAI } from "@ai-sdk/openai";
import { Agent, AgentOS, type AiSdkModel, databaseFromEnvironment } from "agentos-ts";

const poet = new Agent({
  id: "poet",
  instructions: "You write poems.",
  model: process.env.OPENAI_API_KEY ? openai() : standIn(),
  db: databaseFromEnvironment(),
});

await new AgentOS({ agents: [poet] }).serve();

function openai(): AiSdkModel {
  const baseURL = process.env.OPENAI_BASE_URL;
  const provider = createOpenAI(baseURL ? { baseURL } : {});
  return provider(process.env.OPENAI_MODEL || "gpt-5.5");
}

/** What a provider of the AI SDK is made of, at its smallest. */
function standIn(): AiSdkModel {
  const text = "An old silent pond. A frog jumps into the pond. Splash! Silence again.";
  const finishReason = { unified: "stop", raw: "stop" } as const;
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 12, text: 12, reasoning: 0 },
  };
  return {
    specificationVersion: "v4",
    provider: "stand-in",
    modelId: "basho",
    supportedUrls: {},
    doGenerate: async () => ({ content: [{ type: "text", text }], finishReason, usage, warnings: [] }),
    doStream: async () => ({
      stream: new ReadableStream({
        start(controller) {
          controller.enqueue({ type: "stream-start", warnings: [] });
          controller.enqueue({ type: "text-start", id: "1" });
          for (const delta of text.split(/(?<= )/))
            controller.enqueue({ type: "text-delta", id: "1", delta });
          controller.enqueue({ type: "text-end", id: "1" });
          controller.enqueue({ type: "finish", finishReason, usage });
          controller.close();
        },
      }),
    }),
  };
}
