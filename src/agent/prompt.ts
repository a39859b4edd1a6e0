import { newId } from "../events/ids.ts";
import type { Message } from "../events/messages.ts";
import type { AgentDefinition, InstructionsContext } from "./definition.ts";

/** The system prompt of a run: the description, then the instructions. Undefined where the agent has neither. */
export async function systemPrompt(
  agent: AgentDefinition,
  context: InstructionsContext,
): Promise<string | undefined> {
  const { description, instructions } = agent;
  const parts = description ? [description] : [];
  if (typeof instructions === "function") parts.push(await instructions(context));
  else if (typeof instructions === "string") parts.push(instructions);
  else if (instructions) parts.push(...instructions);
  const text = parts.filter((part) => part !== "").join("\n\n");
  return text === "" ? undefined : text;
}

/** A new message of this run. */
export function newMessage(role: Message["role"], fields: Partial<Message>): Message {
  return {
    id: newId(),
    role,
    from_history: false,
    stop_after_tool_call: false,
    created_at: Math.floor(Date.now() / 1000),
    ...fields,
  };
}
