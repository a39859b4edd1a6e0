import type { AgentDefinition } from "../agent/definition.ts";
import { outputFromJsonSchema } from "../agent/output.ts";
import type { RunOrigin, RunRequest } from "../agent/runner.ts";
import type { RunRow } from "../db/queue.ts";
import type { Store } from "../db/store.ts";
import type { JsonObject } from "../events/json.ts";
import type { RunInput } from "../events/run.ts";
import { attachmentsOf } from "./media.ts";

/** What a run was asked for beside its input, as it is stored: another process may have to begin it. */
interface StoredRequest {
  stream: boolean;
  session_state?: JsonObject;
  dependencies?: JsonObject;
  /** What the caller could do when it asked. */
  scopes?: readonly string[];
  /** The JSON schema that takes the place of the agent's. */
  output_schema?: JsonObject;
  /** How it is made of an earlier run. */
  origin?: RunOrigin;
}

/** A request as it is stored with its run. */
export function storedRequest(request: RunRequest): string {
  const { stream, sessionState, dependencies, scopes, output, origin } = request;
  const stored: StoredRequest = {
    stream,
    ...(sessionState && { session_state: sessionState }),
    ...(dependencies && { dependencies }),
    ...(scopes && { scopes }),
    ...(output && { output_schema: output.schema }),
    ...(origin && { origin }),
  };
  return JSON.stringify(stored);
}

/** The request that a stored run answers. */
export async function requestOf(row: RunRow, agent: AgentDefinition, store: Store): Promise<RunRequest> {
  const stored = storedOf(row);
  const { session_state, origin } = stored;
  const input = JSON.parse(row.input) as RunInput;
  return {
    agent,
    message: input.input_content,
    sessionId: row.session_id,
    attachments: await attachmentsOf(input, store),
    ...optionsOf(stored),
    ...(row.user_id !== null && { userId: row.user_id }),
    ...(session_state && { sessionState: session_state }),
    ...(origin && { origin }),
  };
}

/** What a run's row says of its request. */
export function storedOf({ request }: Pick<RunRow, "request">): StoredRequest {
  return JSON.parse(request ?? '{"stream":false}') as StoredRequest;
}

/** What of a request is stored in the same way with its run and with its checkpoints. */
export function optionsOf({
  stream,
  dependencies,
  scopes,
  output_schema,
}: Pick<StoredRequest, "stream" | "dependencies" | "scopes" | "output_schema">): Pick<
  RunRequest,
  "stream" | "dependencies" | "scopes" | "output"
> {
  return {
    stream,
    ...(dependencies && { dependencies }),
    ...(scopes && { scopes }),
    ...(output_schema && { output: outputFromJsonSchema(output_schema) }),
  };
}
