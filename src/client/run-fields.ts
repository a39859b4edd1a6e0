import type { JsonObject } from "../events/json.ts";
import type { CallOptions } from "./options.ts";
import { onWire } from "./wire-names.ts";

/** What becomes of a run when another of its session is under way. */
export type OnBusy = "parallel" | "enqueue" | "reject" | "interrupt";

/** What a new run takes beside its message. */
export interface RunOptions extends CallOptions {
  /** The conversation that the run belongs to; a new one where absent. */
  sessionId?: string;
  /** Who the run is for. With a token it is the token's subject, whatever stands here. */
  userId?: string;
  /** Laid over the session's state, key by key. */
  sessionState?: JsonObject;
  /** For the agent's tools and instructions. Not stored. */
  dependencies?: JsonObject;
  /** Kept with the run. */
  metadata?: JsonObject;
  /** A JSON schema that the answer must fit: `content` is then an object. */
  outputSchema?: JsonObject;
  /** Images, audio, PDF or text for the model. A `File` brings its name. */
  files?: readonly Blob[];
  /** What happens when another run of the session is under way. Default `parallel`, in background `enqueue`. */
  onBusy?: OnBusy;
  /** Names this request: the same key with the same fields is the same run. Made up where absent. */
  idempotencyKey?: string;
}

/** The body of a new run: JSON, or a form where it has files. */
export function runBody(fields: object, files: readonly Blob[] | undefined): object | FormData {
  const named = onWire(fields);
  if (!files || files.length === 0) return named;
  const form = new FormData();
  for (const [name, value] of Object.entries(named)) {
    form.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  for (const file of files) form.append("files", file);
  return form;
}
