import type { JsonValue } from "../events/json.ts";
import type { ModelMessage, ToolDefinition } from "../models/model.ts";
import type { LoopContext, LoopStep } from "./loop-context.ts";
import { memoryBlock } from "./memory/prompt.ts";
import { memoryToolDefinition } from "./memory/tool.ts";
import { modelTurn } from "./model-turn.ts";
import { newMessage, systemPrompt } from "./prompt.ts";
import { summaryBlock } from "./summary.ts";
import { runTools } from "./tool-calls.ts";

/** What a run came to. */
export interface LoopResult {
  content: JsonValue;
  content_type: string;
}

/**
 * The agent at work: asks the model, runs the tools it asks for, and asks again until it answers.
 *
 * @returns events up to `RunContentCompleted`, with checkpoints between them; the last value is the answer
 * @throws {ModelError | OutputSchemaError} when the run cannot be brought to an answer
 */
export async function* runLoop(context: LoopContext): AsyncGenerator<LoopStep, LoopResult, void> {
  const { agent, output } = context;
  const identity = { model: agent.model.id, model_provider: agent.model.provider };
  yield { event: "RunStarted", ...identity };

  const prompt: ModelMessage[] = await opening(context);
  const definitions = agent.tools.map((tool) => tool.definition);
  if (context.memories && agent.memory?.agentic) definitions.push(memoryToolDefinition);
  let callsLeft = agent.toolCallLimit;
  let text = "";
  const callIds = new Set<string>();

  while (true) {
    // A model that may call no more tools is told of none, so that it has to answer.
    const offered: readonly ToolDefinition[] = callsLeft > 0 ? definitions : [];
    const turn = yield* modelTurn(context, prompt, offered, callIds);
    text += turn.text;
    context.messages.push(turn.message);
    prompt.push(turn.message);
    if (turn.calls.length === 0 || offered.length === 0) {
      const answer = output
        ? { content: await output.parse(turn.text), content_type: output.name }
        : { content: text, content_type: "str" };
      yield { event: "RunContentCompleted" };
      return answer;
    }
    yield { event: "Checkpoint" };
    for await (const step of runTools(context, turn.calls, callsLeft)) {
      if ("event" in step && step.event === "Checkpoint") prompt.push(context.messages.at(-1)!);
      yield step;
    }
    callsLeft = Math.max(0, callsLeft - turn.calls.length);
  }
}

/** What the model is asked first: the system prompt, the history, the message. */
async function opening(context: LoopContext): Promise<ModelMessage[]> {
  const instructed = await systemPrompt(context.agent, {
    ...(context.userId === undefined ? {} : { userId: context.userId }),
    sessionId: context.sessionId,
    sessionState: context.sessionState,
    dependencies: context.dependencies,
  });
  const known = await context.memories?.relevant();
  const parts = [
    instructed,
    known && memoryBlock(known, context.agent.memory?.agentic === true),
    context.summary && summaryBlock(context.summary),
  ].filter((part) => part !== undefined);
  const system = parts.length === 0 ? [] : [newMessage("system", { content: parts.join("\n\n") })];
  const user = newMessage("user", { content: context.message, ...context.media });
  context.messages.push(...system, user);
  const { attachments } = context;
  return [...system, ...context.history, attachments.length > 0 ? { ...user, attachments } : user];
}
