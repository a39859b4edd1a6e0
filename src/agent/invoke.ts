import * as z from "zod";
import type { LoopContext } from "./loop-context.ts";
import type { Tool } from "./tool.ts";

/**
 * Runs a tool, and gives its result as the model is told it. One that takes too long or that does not listen to the signal
 * is left behind.
 *
 * @param args - as the model or a person gave them; undefined where they are no JSON
 * @throws whatever the tool throws, and an error for the model where it cannot be run or takes too long
 */
export async function invoke(
  context: LoopContext,
  toolCallId: string,
  tool: Tool | undefined,
  args: unknown,
): Promise<string> {
  if (!tool?.execute) throw new Error("Error: The requested tool does not exist or is not available.");
  if (args === undefined)
    throw new Error("Error: The arguments are not valid JSON. Call the tool again with a JSON object.");
  const input = await tool.inputSchema.safeParseAsync(args);
  if (!input.success) {
    throw new Error(`Error: The arguments do not fit the tool's schema. ${z.prettifyError(input.error)}`);
  }
  const limit = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new Error(`Error: The tool took longer than its limit of ${tool.timeLimit} s.`);
    limit.abort(error);
    late.reject(error);
  }, tool.timeLimit * 1000);
  try {
    const { execute } = tool;
    const known = {
      runId: context.runId,
      sessionId: context.sessionId,
      agentId: context.agent.id,
      ...(context.userId === undefined ? {} : { userId: context.userId }),
      scopes: context.scopes,
      toolCallId,
      sessionState: context.sessionState,
      dependencies: context.dependencies,
      metadata: context.metadata,
      signal: AbortSignal.any([context.signal, limit.signal]),
    };
    const { observer } = context;
    const work = () => execute(input.data, known);
    const result = observer ? observer.inTool(toolCallId, work) : work();
    return asText(await Promise.race([result, late.promise]));
  } finally {
    clearTimeout(timer);
  }
}

function asText(result: unknown): string {
  if (typeof result === "string") return result;
  return JSON.stringify(result) ?? "";
}
