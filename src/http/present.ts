import type { Context } from "hono";
import type { Principal } from "../db/principal.ts";
import type { JsonObject } from "../events/json.ts";
import type { Message } from "../events/messages.ts";
import type { Run, RunStatus } from "../events/run.ts";
import { seesPrompts } from "./hide-prompts.ts";
import { mountOf } from "./mount.ts";
import { principalOf, type Served } from "./served.ts";

/** Who reads an answer, and from where. */
export interface Reader {
  principal: Principal;
  /** The path under which it finds the app. */
  mount: string;
}

/** Who reads the answer to a request: its caller, where nobody else is said. */
export function readerOf(c: Context, principal: Principal = principalOf(c)): Reader {
  return { principal, mount: mountOf(c) };
}

/** A status as it leaves the server: clients of the original know it in upper case. */
export function wireStatus(status: RunStatus, { agnoCompat }: Pick<Served, "agnoCompat">): string {
  return agnoCompat ? status.toUpperCase() : status;
}

/** A run as `POST …/runs` and `GET …/runs/{run_id}` answer it. */
export function presentRun(run: Run, served: Served, reader: Reader): JsonObject {
  // A run that was read from the database names its agent by id only.
  const agentName = run.agent_name ?? served.agents.get(run.agent_id)?.name;
  return {
    run_id: run.run_id,
    agent_id: run.agent_id,
    ...(agentName === undefined ? {} : { agent_name: agentName }),
    session_id: run.session_id,
    user_id: run.user_id ?? null,
    status: wireStatus(run.status, served),
    content: run.content,
    content_type: run.content_type,
    ...(run.reasoning_content === "" ? {} : { reasoning_content: run.reasoning_content }),
    model: run.model,
    model_provider: run.model_provider,
    session_state: run.session_state,
    ...(isEmpty(run.metadata) ? {} : { metadata: run.metadata }),
    metrics: run.metrics,
    messages: presentMessages(run.messages, reader),
    tools: run.tools,
    requirements: run.requirements,
    input: withMedia(run.input, reader),
    ...lineageOf(run),
    ...(run.error_type === undefined ? {} : { error_type: run.error_type }),
    created_at: run.created_at,
    updated_at: run.updated_at,
  };
}

/** A run as it stands in a list of runs. */
export function presentListedRun(run: Run, served: Served, reader: Reader): JsonObject {
  const { files = [], images = [], audio = [] } = withMedia(run.input, reader);
  return {
    run_id: run.run_id,
    parent_run_id: run.parent_run_id ?? "",
    agent_id: run.agent_id,
    user_id: run.user_id ?? null,
    status: wireStatus(run.status, served),
    run_input: run.input.input_content,
    content: run.content,
    run_response_format: typeof run.content === "string" ? "text" : "json",
    reasoning_content: run.reasoning_content,
    reasoning_steps: [],
    metrics: run.metrics,
    metadata: isEmpty(run.metadata) ? null : run.metadata,
    messages: presentMessages(run.messages, reader),
    tools: run.tools.length > 0 ? run.tools : null,
    events: null,
    created_at: isoTime(run.created_at),
    references: [],
    reasoning_messages: [],
    requirements: run.requirements.length > 0 ? run.requirements : null,
    forked_from_run_id: run.forked_from_run_id ?? null,
    forked_from_message_index: run.forked_from_message_index ?? null,
    regenerated_from: run.regenerated_from ?? null,
    superseded_by: run.superseded_by ?? null,
    session_state: run.session_state,
    images: [],
    videos: [],
    audio: [],
    files: [],
    input_media: { images, videos: [], audios: audio, files },
  };
}

/** Which run it was made of, and which one took its place. */
function lineageOf(run: Run): JsonObject {
  const { forked_from_run_id, forked_from_message_index, regenerated_from, superseded_by } = run;
  return {
    ...(forked_from_run_id !== undefined && { forked_from_run_id, forked_from_message_index }),
    ...(regenerated_from !== undefined && { regenerated_from }),
    ...(superseded_by !== undefined && { superseded_by }),
  };
}

/** A time in seconds as lists show it. */
export function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/**
 * System prompts are the server's business, and what only the provider understands is nobody's. An output names its call as
 * everything else on the wire does: by the call's `id`, where models are told the provider's own name for it.
 */
export function presentMessages(messages: readonly Message[], reader: Reader): JsonObject[] {
  const shown = seesPrompts(reader.principal) ? messages : messages.filter(({ role }) => role !== "system");
  const ids = new Map<string, string>();
  return shown.map(({ provider_items: _, ...own }) => {
    const message = withMedia(own, reader);
    for (const { call_id, id } of message.tool_calls ?? []) ids.set(call_id, id);
    const id = message.tool_call_id === undefined ? undefined : ids.get(message.tool_call_id);
    return id === undefined ? message : { ...message, tool_call_id: id };
  });
}

/** An input or a message whose files are where the reader finds them: what is stored knows no host. */
function withMedia<T extends Pick<Message, "files" | "images" | "audio">>(value: T, { mount }: Reader): T {
  if (mount === "") return value;
  const shown = { ...value };
  for (const kind of ["files", "images", "audio"] as const) {
    const references = value[kind];
    if (references) shown[kind] = references.map((one) => ({ ...one, url: mount + one.url }));
  }
  return shown;
}

function isEmpty(value: JsonObject | undefined): boolean {
  return value === undefined || Object.keys(value).length === 0;
}
