import { ConfigurationError } from "../errors.ts";
import type { JsonObject } from "../events/json.ts";
import { fromAiSdk, isAiSdkModel } from "../models/ai-sdk.ts";
import { refuseUnfit, refuseUnknown, type Shape, shapes } from "../options.ts";
import type { AgentDefinition, AgentOptions, Instructions } from "./definition.ts";
import { memoryToolDefinition } from "./memory/tool.ts";
import { outputFromZod } from "./output.ts";
import type { Tool } from "./tool.ts";

const agentId = /^[A-Za-z0-9_.-]{1,128}$/;

/** What each option must be; `model` and the numbers are looked at one by one. */
const wanted = {
  name: shapes.text,
  description: shapes.text,
  instructions: shapes.instructions,
  db: shapes.database,
  tools: shapes.tools,
  addHistoryToContext: shapes.flag,
  autoNameSessions: shapes.flag,
  enableSessionSummaries: shapes.flag,
  enableAgenticMemory: shapes.flag,
  updateMemoryOnRun: shapes.flag,
  sessionState: shapes.object,
  outputSchema: shapes.zod,
  metadata: shapes.object,
} satisfies Partial<Record<keyof AgentOptions, Shape>>;

const known = [
  ...Object.keys(wanted),
  ...([
    "id",
    "model",
    "numHistoryRuns",
    "historyTokenBudget",
    "memoryBudget",
    "retries",
    "retryDelay",
    "toolCallLimit",
    "timeLimit",
    "modelTimeLimit",
  ] satisfies (keyof AgentOptions)[]),
];

/**
 * Checks an agent's options and fills in what was left out.
 *
 * @throws {ConfigurationError} that names the first option that cannot work
 */
export function defineAgent<TOutput, TState extends JsonObject, TDependencies extends JsonObject>(
  options: AgentOptions<TOutput, TState, TDependencies>,
): AgentDefinition {
  const { id } = options;
  if (typeof id !== "string" || !agentId.test(id)) {
    throw new ConfigurationError(
      `Agent: id ${JSON.stringify(id)} must be 1 to 128 letters, digits, "_", "-" or ".".`,
    );
  }
  refuseUnknown(`Agent "${id}"`, options, known);
  refuseUnfit(`Agent "${id}"`, options, wanted);
  const tools = (options.tools ?? []) as readonly Tool[];
  refuseTwice(id, options.enableAgenticMemory ? [memoryToolDefinition(), ...tools] : tools);
  return {
    id,
    name: options.name,
    description: options.description,
    instructions: options.instructions as Instructions | undefined,
    model: modelOf(id, options.model),
    db: options.db,
    tools,
    addHistoryToContext: options.addHistoryToContext ?? false,
    numHistoryRuns: within(id, "numHistoryRuns", options.numHistoryRuns ?? 3, 1, 100),
    historyTokenBudget:
      options.historyTokenBudget === undefined
        ? undefined
        : within(id, "historyTokenBudget", options.historyTokenBudget, 1, 10_000_000),
    autoNameSessions: options.autoNameSessions ?? false,
    enableSessionSummaries: options.enableSessionSummaries ?? false,
    memory: memoryOf(options),
    sessionState: options.sessionState ?? {},
    output: options.outputSchema && outputFromZod(`Agent "${id}"`, options.outputSchema),
    retries: within(id, "retries", options.retries ?? 2, 0, 10),
    retryDelay: within(id, "retryDelay", options.retryDelay ?? 0.5, 0, 60, false),
    toolCallLimit: within(id, "toolCallLimit", options.toolCallLimit ?? 50, 0, 10_000),
    timeLimit: within(id, "timeLimit", options.timeLimit ?? 3600, 0.001, 86_400, false),
    modelTimeLimit: within(id, "modelTimeLimit", options.modelTimeLimit ?? 600, 0.001, 86_400, false),
    metadata: options.metadata ?? {},
  };
}

function modelOf(id: string, model: AgentOptions["model"]): AgentDefinition["model"] {
  if (isAiSdkModel(model)) return fromAiSdk(model);
  if (typeof model === "object" && model !== null && typeof model.generate === "function") return model;
  throw new ConfigurationError(
    `Agent "${id}": model must be one of this package, such as new OpenAIResponses(), or a language model of the Vercel AI SDK.`,
  );
}

function memoryOf(
  options: Pick<AgentOptions, "id" | "enableAgenticMemory" | "updateMemoryOnRun" | "memoryBudget">,
): AgentDefinition["memory"] {
  const { id, enableAgenticMemory: agentic = false, updateMemoryOnRun = false } = options;
  const budget = within(id, "memoryBudget", options.memoryBudget ?? 8000, 500, 1_000_000);
  if (agentic && updateMemoryOnRun) {
    throw new ConfigurationError(
      `Agent "${id}": enableAgenticMemory and updateMemoryOnRun are two ways to remember. Choose one.`,
    );
  }
  return agentic || updateMemoryOnRun ? { agentic, budget } : undefined;
}

function refuseTwice(id: string, tools: readonly { name: string }[]): void {
  const names = new Set<string>();
  for (const { name } of tools) {
    if (names.has(name)) throw new ConfigurationError(`Agent "${id}": two tools are named "${name}".`);
    names.add(name);
  }
}

function within(
  id: string,
  option: string,
  value: number,
  least: number,
  most: number,
  whole = true,
): number {
  if (typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value)))
    return value;
  throw new ConfigurationError(
    `Agent "${id}": ${option} must be ${whole ? "a whole number" : "a number"} from ${least} to ${most}, not ${value}.`,
  );
}
