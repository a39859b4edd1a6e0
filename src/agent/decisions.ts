import { isDeepStrictEqual } from "node:util";
import { ConflictError, InvalidRequestError } from "../errors.ts";
import type { JsonObject, JsonValue } from "../events/json.ts";
import { isWaiting } from "../events/requirements.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import type { AgentDefinition } from "./definition.ts";
import type { Tool } from "./tool.ts";

/** What a person decided about a call that waits. It must give all that the call waits for. */
export interface Decision {
  /** Which call: the `tool_call_id` of a requirement's `tool_execution`. */
  toolCallId: string;
  /** Its tool and arguments, where they are sent back: they must be what was asked about. */
  toolName?: string;
  toolArgs?: JsonObject;
  /** Whether it may be made. */
  confirmed?: boolean;
  /** Why. The model is told the note of a call that may not be made. */
  note?: string;
  /** The arguments that were filled in, by name. One that is left out stays as the model proposed it; null takes it out. */
  input?: JsonObject;
  /** What came of a call that was made elsewhere: a string goes to the model as it is, anything else as JSON. */
  result?: JsonValue;
}

/** Where a decision stands in a request, for the error. */
type Path = readonly (string | number)[];

/**
 * The waiting calls of a run with what was decided about them.
 *
 * @param tools - the run's calls
 * @param where - where the decisions stand in the request
 * @throws {InvalidRequestError} when a call that waits lacks its decision, or a decision fits no call
 * @throws {ConflictError} when the agent has a waiting call's tool no more
 */
export async function decide(
  agent: AgentDefinition,
  tools: readonly ToolExecution[],
  decisions: readonly Decision[],
  where: Path,
): Promise<ToolExecution[]> {
  const given = new Map<string, { decision: Decision; path: Path }>();
  for (const [i, decision] of decisions.entries()) {
    const { toolCallId } = decision;
    const path = [...where, i];
    if (!tools.some((tool) => tool.tool_call_id === toolCallId)) {
      throw wrong([...path, "tool_call_id"], `The run has no call ${JSON.stringify(toolCallId)}`);
    }
    if (given.has(toolCallId)) throw wrong(path, `The call ${toolCallId} is decided twice`);
    given.set(toolCallId, { decision, path });
  }
  const decided: ToolExecution[] = [];
  for (const tool of tools.filter(isWaiting)) {
    const one = given.get(tool.tool_call_id);
    if (!one) throw wrong(where, `The call ${nameOf(tool)} waits for a decision, and there is none`);
    decided.push(await decideOne(agent, tool, one.decision, one.path));
  }
  return decided;
}

async function decideOne(
  agent: AgentDefinition,
  tool: ToolExecution,
  decision: Decision,
  path: Path,
): Promise<ToolExecution> {
  const { confirmed, note, result, toolName = tool.tool_name, toolArgs = tool.tool_args } = decision;
  if (toolName !== tool.tool_name || !isDeepStrictEqual(toolArgs, tool.tool_args)) {
    throw wrong(
      path,
      `This is not the call that waits: ${tool.tool_name}(${JSON.stringify(tool.tool_args)})`,
    );
  }
  const noted = note === undefined ? {} : { confirmation_note: note };
  const rest = withoutWaiting(tool);
  if (tool.requires_confirmation && confirmed === false) return { ...rest, confirmed, ...noted };

  const definition = agent.tools.find(({ name }) => name === tool.tool_name);
  if (!definition) {
    throw new ConflictError(
      `The agent "${agent.id}" has no tool "${tool.tool_name}" any more. The run stays paused: serve the tool again, refuse the call, or cancel the run.`,
    );
  }
  // Whoever knows what came of a call that was cut off spares making it again.
  if (tool.result_unknown && result !== undefined) return { ...rest, result: asText(result) };

  let next: ToolExecution = rest;
  if (tool.requires_confirmation) {
    if (confirmed !== true) {
      throw wrong([...path, "confirmed"], `The call ${nameOf(tool)} waits to be allowed: true or false`);
    }
    next = { ...next, confirmed, ...noted };
  }
  if (tool.requires_user_input) next = await filledIn(definition, next, decision, path);
  if (tool.external_execution_required) {
    if (result === undefined || result === null) {
      throw wrong([...path, "result"], `The call ${nameOf(tool)} waits for its result`);
    }
    next = { ...next, result: asText(result) };
  }
  return next;
}

/** The call as it is once all that it waits for is there. */
function withoutWaiting(tool: ToolExecution): ToolExecution {
  return {
    ...tool,
    ...(tool.requires_confirmation !== undefined && { requires_confirmation: false }),
    ...(tool.requires_user_input !== undefined && { requires_user_input: false }),
    ...(tool.external_execution_required !== undefined && { external_execution_required: false }),
  };
}

async function filledIn(
  definition: Tool,
  tool: ToolExecution,
  { input }: Decision,
  path: Path,
): Promise<ToolExecution> {
  const at = [...path, "user_input_schema"];
  const fields = tool.user_input_schema ?? [];
  if (input === undefined) {
    const names = fields.map(({ name }) => name).join(", ");
    throw wrong(at, `The call ${nameOf(tool)} waits for its arguments: ${names}`);
  }
  const unknown = Object.keys(input).find((name) => !fields.some((field) => field.name === name));
  if (unknown !== undefined) throw wrong([...at, unknown], "This argument is not one to fill in");
  const args = Object.fromEntries(
    Object.entries({ ...tool.tool_args, ...input }).filter(([, value]) => value !== null),
  );
  const parsed = await definition.inputSchema.safeParseAsync(args);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw wrong([...at, ...(issue?.path ?? []).map(String)], issue?.message ?? "It does not fit");
  }
  return {
    ...tool,
    tool_args: args,
    user_input_schema: fields.map((field) => ({ ...field, value: (args[field.name] as JsonValue) ?? null })),
    answered: true,
  };
}

function nameOf({ tool_name, tool_call_id }: ToolExecution): string {
  return `${tool_call_id} of "${tool_name}"`;
}

function asText(result: JsonValue): string {
  return typeof result === "string" ? result : JSON.stringify(result);
}

function wrong(loc: Path, msg: string): InvalidRequestError {
  return InvalidRequestError.field([...loc], msg);
}
