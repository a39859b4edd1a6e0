import { isJsonObject, type JsonObject, type JsonValue } from "../events/json.ts";
import type { MessageToolCall } from "../events/messages.ts";
import { isWaiting } from "../events/requirements.ts";
import type { ToolExecution, UserInputField } from "../events/tool-execution.ts";
import { parsed } from "./call-arguments.ts";
import type { LoopContext } from "./loop-context.ts";
import type { Tool } from "./tool.ts";

/** What is to be done about a call of the model. */
export type ToolPlan =
  | { kind: "run"; tool: ToolExecution /** Undefined where they are no JSON. */; args: unknown }
  /** The model is told a text in place of a result, without anything being run. */
  | { kind: "tell"; tool: ToolExecution; text: string; failed: boolean; began: boolean }
  | { kind: "wait"; tool: ToolExecution };

/** Told to a model whose call was not allowed, where whoever refused it gave no reason. */
const rejected = "The user did not allow this call. Do not make it again without asking.";

/** Told to a model whose call may have had its effect. */
const unknown =
  "Error: The server stopped while this tool was running, and whether it had its effect is not known. It was not called again.";

/**
 * Says what is to be done about a call: it is run, it waits for people, or the model is told why not.
 *
 * @param definition - the tool that it is for; undefined where there is none
 * @param isWithinLimit - whether the run may make it at all
 */
export async function planFor(
  { resumed, begun }: LoopContext,
  call: MessageToolCall,
  definition: Tool | undefined,
  isWithinLimit: boolean,
): Promise<ToolPlan> {
  const known = resumed?.tools.find(({ tool_call_id }) => tool_call_id === call.id);
  const args = parsed(call.function.arguments);
  const tool = known ?? newExecution(call, args);
  if (!isWithinLimit) {
    const text = "Error: The limit of tool calls is reached. Answer with what is known.";
    return { kind: "tell", tool, text, failed: true, began: true };
  }
  if (begun.has(call.id)) {
    if (definition?.onUnknownResult === "fail") {
      return { kind: "tell", tool, text: unknown, failed: true, began: false };
    }
    if (definition?.onUnknownResult === "ask") {
      const { confirmed: _, confirmation_note: __, ...asked } = tool;
      return { kind: "wait", tool: { ...asked, requires_confirmation: true, result_unknown: true } };
    }
    return { kind: "run", tool, args: argumentsOf(tool, args) };
  }
  if (known && isWaiting(known)) return { kind: "wait", tool: known };
  if (tool.confirmed === false) {
    return { kind: "tell", tool, text: tool.confirmation_note ?? rejected, failed: true, began: false };
  }
  // Somebody gave the result.
  if (tool.result !== null) return { kind: "tell", tool, text: tool.result, failed: false, began: false };
  if (known || !definition) return { kind: "run", tool, args: argumentsOf(tool, args) };
  const needs = await needsOf(definition, args);
  return needs ? { kind: "wait", tool: { ...tool, ...needs } } : { kind: "run", tool, args };
}

/** What a call needs of people; undefined where it needs nothing, or cannot be made as it is. */
async function needsOf(tool: Tool, args: unknown): Promise<Partial<ToolExecution> | undefined> {
  const { requiresConfirmation, requiresUserInput, externalExecution } = tool;
  const asksFields = requiresUserInput.length > 0;
  if (!requiresConfirmation && !asksFields && !externalExecution) return undefined;
  // People are not asked about what cannot work. What they are to fill in may be missing still.
  if (!asksFields && !(await tool.inputSchema.safeParseAsync(args)).success) return undefined;
  return {
    ...(requiresConfirmation && { requires_confirmation: true }),
    ...(asksFields && {
      requires_user_input: true,
      user_input_schema: requiresUserInput.map((field) => userInputField(tool, field, args)),
    }),
    ...(externalExecution && { external_execution_required: true }),
  };
}

/** JSON types by the names that clients of the original know. */
const fieldTypes: Record<string, string> = {
  string: "str",
  integer: "int",
  number: "float",
  boolean: "bool",
  array: "list",
  object: "dict",
};

function userInputField({ definition }: Tool, name: string, args: unknown): UserInputField {
  const schema = (definition.parameters["properties"] as JsonObject)[name] as JsonObject;
  const proposed = isJsonObject(args) ? (args[name] as JsonValue | undefined) : undefined;
  return {
    name,
    field_type: fieldTypes[schema["type"] as string] ?? "any",
    description: (schema["description"] as string | undefined) ?? null,
    value: proposed ?? null,
  };
}

/** What a person filled in stands in the execution alone; else the model's own words count, broken as they may be. */
function argumentsOf(tool: ToolExecution, args: unknown): unknown {
  return tool.answered ? tool.tool_args : args;
}

function newExecution(call: MessageToolCall, args: unknown): ToolExecution {
  return {
    tool_call_id: call.id,
    tool_name: call.function.name,
    tool_args: isJsonObject(args) ? args : {},
    tool_call_error: null,
    result: null,
    metrics: null,
    stop_after_tool_call: false,
    created_at: Math.floor(Date.now() / 1000),
  };
}
