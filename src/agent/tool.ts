import * as z from "zod";
import { ConfigurationError } from "../errors.ts";
import type { JsonObject } from "../events/json.ts";
import type { ToolDefinition } from "../models/model.ts";
import { mustFit, refuseUnfit, refuseUnknown, type Shape, shapes } from "../options.ts";

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
  /** Absent where the call is made elsewhere. */
  readonly execute?: (input: TInput, context: ToolContext<TState, TDependencies>) => unknown;
  readonly requiresConfirmation: boolean;
  /** Arguments that a person fills in. */
  readonly requiresUserInput: readonly string[];
  readonly externalExecution: boolean;
  readonly onUnknownResult: "repeat" | "fail" | "ask";
  /** Seconds that a call may take. */
  readonly timeLimit: number;
}

interface ToolBasics<TSchema extends z.ZodType> {
  /** What the model calls it by: letters, digits, `_` and `-`, at most 64. */
  name: string;
  /** When and what for, in words for the model. */
  description: string;
  /** The arguments: a zod object. The model is sent its JSON schema, and `execute` gets what it parsed. */
  inputSchema: TSchema;
  /** Whether each call waits until somebody allows it. The run pauses meanwhile. Default false. */
  requiresConfirmation?: boolean;
  /** Arguments that a person fills in, or `true` for all: the run pauses until they have. What the model wrote is proposed. */
  requiresUserInput?: true | readonly (keyof z.output<TSchema> & string)[];
  /**
   * What happens to a call that was under way when its server was lost, so that nobody knows whether it had its effect:
   * it is made again with the same `toolCallId` (`repeat`, the default), the model is told that it failed (`fail`), or the
   * run pauses and people are asked (`ask`).
   */
  onUnknownResult?: "repeat" | "fail" | "ask";
  /** Seconds that a call may take; then the model is told that it took too long. Default 600. */
  timeLimit?: number;
}

/** What {@link tool} takes. */
export type ToolOptions<
  TSchema extends z.ZodType,
  TState extends JsonObject,
  TDependencies extends JsonObject,
> = ToolBasics<TSchema> &
  (
    | {
        /**
         * Does the work. What it returns goes to the model: a string as it is, anything else as JSON.
         * What it throws goes to the model too, as the error's message, and the run goes on.
         */
        execute: (input: z.output<TSchema>, context: ToolContext<TState, TDependencies>) => unknown;
        externalExecution?: false;
      }
    | {
        execute?: never;
        /** The call is made outside of the server: the run pauses until somebody gives its result. */
        externalExecution: true;
      }
  );

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
  const { name, description, inputSchema, execute, externalExecution = false } = options;
  if (typeof name !== "string" || !toolName.test(name)) {
    throw new ConfigurationError(
      `The tool name ${JSON.stringify(name)} must be 1 to 64 letters, digits, "_" or "-".`,
    );
  }
  const what = `Tool "${name}"`;
  refuseUnknown(what, options, [...Object.keys(needed), ...Object.keys(wanted), "execute"]);
  for (const [option, shape] of Object.entries(needed)) {
    mustFit(what, option, options[option as keyof typeof needed], shape);
  }
  refuseUnfit(what, options, wanted);
  if (!externalExecution) mustFit(what, "execute", execute, shapes.function);
  else if (execute !== undefined) {
    throw new ConfigurationError(
      `${what}: with externalExecution it is executed elsewhere. Leave out execute.`,
    );
  }
  const parameters = parametersOf(name, inputSchema);
  return {
    name,
    description,
    inputSchema: inputSchema as z.ZodType<z.output<TSchema>>,
    definition: { name, description, parameters },
    ...(execute && { execute }),
    requiresConfirmation: options.requiresConfirmation ?? false,
    requiresUserInput: userFields(what, options.requiresUserInput ?? [], parameters),
    externalExecution,
    onUnknownResult: options.onUnknownResult ?? "repeat",
    timeLimit: options.timeLimit ?? 600,
  };
}

const needed = { name: shapes.text, description: shapes.text, inputSchema: shapes.zod };

const wanted = {
  requiresConfirmation: shapes.flag,
  requiresUserInput: {
    fits: (value) => value === true || shapes.texts.fits(value),
    words: "true, or a list of arguments",
  },
  externalExecution: shapes.flag,
  onUnknownResult: {
    fits: (value) => ["repeat", "fail", "ask"].includes(value as string),
    words: '"repeat", "fail" or "ask"',
  },
  timeLimit: {
    fits: (value) => shapes.number.fits(value) && Number(value) >= 0.001 && Number(value) <= 86_400,
    words: "a number of seconds from 0.001 to 86400",
  },
} satisfies Record<string, Shape>;

/** The arguments that people fill in, each of which must be one. */
function userFields(what: string, wished: true | readonly string[], parameters: JsonObject): string[] {
  const fields = Object.keys(parameters["properties"] as JsonObject);
  if (wished === true) return fields;
  const wrong = wished.find((field) => !fields.includes(field));
  if (wrong === undefined) return [...wished];
  throw new ConfigurationError(`${what}: requiresUserInput names "${wrong}", which is no argument of it.`);
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
