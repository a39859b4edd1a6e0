import * as z from "zod";
import { ConfigurationError } from "../errors.ts";
import type { JsonObject } from "../events/json.ts";
import type { ToolDefinition } from "../models/model.ts";
import { mustFit, refuseUnknown, shapes } from "../options.ts";

/** What a tool knows of the run that calls it. */
export interface ToolContext<
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
> {
  readonly runId: string;
  readonly sessionId: string;
  readonly agentId: string;
  /** Who the run is for. Absent when nobody was named. */
  readonly userId?: string;
  /** What the caller's token lets it do. Empty where authorization is off, and for runs that the program itself starts. */
  readonly scopes: readonly string[];
  /** Stays the same when the call is made again after a crash: use it to make a side effect happen once. */
  readonly toolCallId: string;
  /** The session's state. What a tool changes in it is stored with the run. */
  readonly sessionState: TState;
  /** What the caller handed in for this run. */
  readonly dependencies: TDependencies;
  readonly metadata: JsonObject;
  /** Aborted when the run is cancelled, over its time limit, or the server stops. */
  readonly signal: AbortSignal;
}

/** A function that an agent's model may call. Make one with {@link tool}. */
export interface Tool<
  // biome-ignore lint/suspicious/noExplicitAny: a list of tools holds tools of any input, and `unknown` would refuse them.
  TInput = any,
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
> {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: z.ZodType<TInput>;
  /** What the model is told: name, description and the JSON schema of the input. */
  readonly definition: ToolDefinition;
  readonly execute: (input: TInput, context: ToolContext<TState, TDependencies>) => unknown;
}

/** What {@link tool} takes. */
export interface ToolOptions<
  TSchema extends z.ZodType,
  TState extends JsonObject,
  TDependencies extends JsonObject,
> {
  /** What the model calls it by: letters, digits, `_` and `-`, at most 64. */
  name: string;
  /** When and what for, in words for the model. */
  description: string;
  /** The arguments: a zod object. The model is sent its JSON schema, and `execute` gets what it parsed. */
  inputSchema: TSchema;
  /**
   * Does the work. What it returns goes to the model: a string as it is, anything else as JSON.
   * What it throws goes to the model too, as the error's message, and the run goes on.
   */
  execute: (input: z.output<TSchema>, context: ToolContext<TState, TDependencies>) => unknown;
}

const toolName = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Makes a tool. The type of `execute`'s input is that of the schema.
 *
 * @throws {ConfigurationError} when the name is none that models take, or the schema has no JSON form
 * @example
 * const weather = tool({
 *   name: "weather",
 *   description: "Tells the weather of a city.",
 *   inputSchema: z.object({ city: z.string() }),
 *   execute: async ({ city }, { signal }) => (await fetch(`https://wttr.in/${city}?format=3`, { signal })).text(),
 * });
 */
export function tool<
  TSchema extends z.ZodType,
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
>(options: ToolOptions<TSchema, TState, TDependencies>): Tool<z.output<TSchema>, TState, TDependencies> {
  const { name, description, inputSchema, execute } = options;
  if (typeof name !== "string" || !toolName.test(name)) {
    throw new ConfigurationError(
      `The tool name ${JSON.stringify(name)} must be 1 to 64 letters, digits, "_" or "-".`,
    );
  }
  refuseUnknown(`Tool "${name}"`, options, ["name", "description", "inputSchema", "execute"]);
  mustFit(`Tool "${name}"`, "description", description, shapes.text);
  mustFit(`Tool "${name}"`, "inputSchema", inputSchema, shapes.zod);
  mustFit(`Tool "${name}"`, "execute", execute, shapes.function);
  return {
    name,
    description,
    inputSchema: inputSchema as z.ZodType<z.output<TSchema>>,
    definition: { name, description, parameters: parametersOf(name, inputSchema) },
    execute,
  };
}

function parametersOf(name: string, schema: z.ZodType): JsonObject {
  let parameters: JsonObject;
  try {
    parameters = z.toJSONSchema(schema, { io: "input" });
  } catch (error) {
    throw new ConfigurationError(`The input schema of the tool "${name}" cannot be told to a model.`, {
      cause: error,
    });
  }
  if (parameters["type"] !== "object") {
    throw new ConfigurationError(
      `The input schema of the tool "${name}" must be an object: z.object({ … }).`,
    );
  }
  const { $schema: _dialect, ...rest } = parameters;
  return { properties: {}, required: [], ...rest };
}
