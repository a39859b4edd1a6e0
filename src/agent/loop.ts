import { ModelError } from "../errors.ts";
import type { JsonValue } from "../events/json.ts";
import { type Message, type MessageToolCall, openTurn } from "../events/messages.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import type { ModelMessage, ToolDefinition } from "../models/model.ts";
import { refuseCutOff } from "./finish.ts";
import type { LoopContext, LoopStep } from "./loop-context.ts";
import { memoryBlock } from "./memory/prompt.ts";
import { memoryToolDefinition } from "./memory/tool.ts";
import { modelTurn } from "./model-turn.ts";
import { newMessage, systemPrompt } from "./prompt.ts";
import { summaryBlock } from "./summary.ts";
import { type CalledTurn, runTools } from "./tool-calls.ts";

/** What a run came to. */
export interface LoopResult {
  content: JsonValue;
  content_type: string;
}

/** A run that goes on when people have decided about the calls that wait. */
export interface LoopPause {
  waiting: readonly ToolExecution[];
}

/**
 * The agent at work: asks the model, runs the tools it asks for, and asks again until it answers. It begins with the
 * message, or goes on from the messages that are there: with the calls that have no output yet, then with the model.
 *
 * @returns events up to `RunContentCompleted`, with checkpoints between them; the last value is the answer, or what people
 *   are needed for
 * @throws {ModelError | OutputSchemaError} when the run cannot be brought to an answer
 */
export async function* runLoop(context: LoopContext): AsyncGenerator<LoopStep, LoopResult | LoopPause, void> {
  const { agent, output, messages } = context;
  const identity = { model: agent.model.id, model_provider: agent.model.provider };
  if (!context.resumed) yield { event: "RunStarted", ...identity };

  const prompt: ModelMessage[] = messages.length > 0 ? goingOn(context) : await opening(context);
  const definitions = agent.tools.map((tool) => tool.definition);
  if (context.memories && agent.memory?.agentic) definitions.push(memoryToolDefinition());
  const calls = callsIn(messages);
  const callIds = new Set(calls.map(({ id }) => id));
  let turnCalls: CalledTurn | undefined = openTurn(messages);
  let callsLeft = Math.max(0, agent.toolCallLimit - calls.length + (turnCalls?.calls.length ?? 0));
  let text = context.resumed?.text ?? "";

  while (true) {
    if (turnCalls) {
      const waiting = yield* runTools(context, turnCalls, callsLeft, prompt);
      if (waiting.length > 0) {
        yield { event: "RunContentCompleted" };
        return { waiting };
      }
      callsLeft = Math.max(0, callsLeft - turnCalls.calls.length);
    }
    // A model that may call no more tools is told of none, so that it has to answer.
    const offered: readonly ToolDefinition[] = callsLeft > 0 ? definitions : [];
    const turn = yield* modelTurn(context, prompt, offered, callIds);
    text += turn.text;
    if (offered.length === 0) dropCalls(turn.message);
    messages.push(turn.message);
    prompt.push(turn.message);
    refuseCutOff(turn, output !== undefined);
    if (turn.calls.length === 0 || offered.length === 0) {
      if (turn.text === "" && turn.calls.length > 0) throw callsInVain(turn.calls[0]!.function.name, context);
      const answer = output
        ? { content: await output.parse(turn.text), content_type: output.name }
        : { content: text, content_type: "str" };
      yield { event: "RunContentCompleted" };
      return answer;
    }
    yield { event: "Checkpoint" };
    turnCalls = { calls: turn.calls, answered: new Set() };
  }
}

/** The calls that the run's model asked for. Those of an earlier run are not its own. */
function callsIn(messages: readonly Message[]): MessageToolCall[] {
  return messages.flatMap(({ tool_calls, from_history }) => (from_history ? [] : (tool_calls ?? [])));
}

/** What the model is asked where messages are there already: the history stands behind the system prompt. */
function goingOn({ said, history }: LoopContext): ModelMessage[] {
  const isSystem = ({ role }: ModelMessage) => role === "system";
  return [...said.filter(isSystem), ...history, ...said.filter((message) => !isSystem(message))];
}

/**
 * Takes out calls that nobody will make, and what the provider wanted back with them: with the next run of the session,
 * providers refuse a call without its output.
 */
function dropCalls(message: Message): void {
  if (message.tool_calls === undefined) return;
  delete message.tool_calls;
  delete message.provider_items;
}

function callsInVain(name: string, { agent }: LoopContext): ModelError {
  return new ModelError(
    agent.tools.length === 0 && agent.memory?.agentic !== true
      ? `The model called a tool "${name}", but the agent has no tools, and said nothing else.`
      : `The model called the tool "${name}" again after the run's limit of ${agent.toolCallLimit} tool calls, and said nothing else. Raise toolCallLimit, or ask for less.`,
  );
}

/** What the model is asked first: the system prompt, the history, the message. */
async function opening(context: LoopContext): Promise<ModelMessage[]> {
  const instructed = await systemPrompt(context.agent, {
    ...(context.userId === undefined ? {} : { userId: context.userId }),
    scopes: context.scopes,
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
