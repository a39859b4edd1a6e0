import { decide } from "../agent/decisions.ts";
import { newMessage } from "../agent/prompt.ts";
import type { ContinueRequest, RunOrigin, RunRequest } from "../agent/runner.ts";
import { foldOf } from "../db/queries/rows.ts";
import type { Store } from "../db/store.ts";
import type { RunProgress } from "../db/stores/run-progress.ts";
import { ConflictError, InvalidRequestError, NotFoundError } from "../errors.ts";
import { newId } from "../events/ids.ts";
import { type Message, openTurn } from "../events/messages.ts";
import type { Run } from "../events/run.ts";
import { attachmentsOf } from "./media.ts";
import { checkpointOf, startOf } from "./restore.ts";

/** What a continue comes to: the same run goes on, or a new one is made of it. */
export type Continuation = { kind: "goes-on"; progress: RunProgress } | { kind: "anew"; request: RunRequest };

/**
 * Continues a run as it stands: of a paused one the decisions are stored, of an ended one a new run is asked for.
 *
 * @param nodeId - which process goes on with a paused one; undefined where any may take it up
 */
export async function continuationOf(
  request: ContinueRequest,
  store: Store,
  nodeId: string | undefined,
): Promise<Continuation> {
  const { agent, runId, sessionId, userId } = request;
  const found = await store.runs.get({
    runId,
    agentId: agent.id,
    ...(sessionId !== undefined && { sessionId }),
    ...(userId !== undefined && { userId }),
  });
  if (!found) throw new NotFoundError("Run not found");
  const { run } = found;
  const hasDecisions = (request.decisions ?? []).length > 0;
  if (run.status === "paused") return { kind: "goes-on", progress: await goOn(request, run, store, nodeId) };
  if (hasDecisions) {
    throw new ConflictError(`The run is ${run.status}: it does not wait for decisions, or no longer.`);
  }
  switch (run.status) {
    case "completed":
    case "error":
      return { kind: "anew", request: await anew(request, run, store) };
    case "regenerated":
      throw new ConflictError(`The run was replaced by ${run.superseded_by}. Continue that one.`);
    case "cancelled":
      throw new ConflictError("The run was cancelled. Send the message again.");
    default:
      throw new ConflictError(`The run is ${run.status}. Wait for its end, or cancel it.`);
  }
}

/** Stores what was decided about a paused run. Whoever is first does; for the others it is paused no more. */
async function goOn(
  request: ContinueRequest,
  run: Run,
  store: Store,
  nodeId: string | undefined,
): Promise<RunProgress> {
  const { agent, decisions = [], decisionsAt, callerHas } = request;
  const progress = await store.progress.get(run.run_id);
  const pauseId = progress?.row.pause_id;
  if (!progress || pauseId === null || pauseId === undefined) throw notPaused();
  const { tools, last_event_index } = foldOf(progress.row);
  // It was continued meanwhile, and waits for something else.
  if (last_event_index !== run.last_event_index) throw notPaused();
  for (const field of ["input", "fork", "regenerate"] as const) {
    if (request[field] === undefined || request[field] === false) continue;
    throw InvalidRequestError.field(
      [...decisionsAt.slice(0, -1), field],
      "The run is paused: it takes decisions, and nothing else. Or cancel it",
    );
  }
  const checkpoint = checkpointOf(progress.row);
  if (checkpoint?.version !== 1) {
    throw new ConflictError(
      "The run was paused by a later version of the server, which has to go on with it.",
    );
  }
  // What cannot go on must not begin to.
  startOf(progress, checkpoint, agent);
  const decided = await decide(agent, tools, decisions, decisionsAt);
  // Nobody's words are carried out with rights that only somebody else has.
  const scopes = callerHas && checkpoint.scopes?.filter(callerHas);
  const how = { decided, nodeId, ...(scopes && { scopes }) };
  const continued = await store.progress.continue(progress, pauseId, how);
  if (!continued) throw notPaused();
  return continued;
}

function notPaused(): ConflictError {
  return new ConflictError("The run is paused no more: it was continued, or cancelled.");
}

/** The run that is made of one that has ended. */
async function anew(request: ContinueRequest, run: Run, store: Store): Promise<RunRequest> {
  const origin = originOf(request, run);
  const { agent, stream, signal, output, dependencies } = request;
  return {
    agent,
    message: request.input ?? run.input.input_content,
    sessionId: run.session_id,
    ...(run.user_id !== undefined && { userId: run.user_id }),
    ...(run.metadata && { metadata: run.metadata }),
    // A run that failed before it had a message is asked again with its files.
    attachments: origin.messages === 0 ? await attachmentsOf(run.input, store) : [],
    stream,
    origin,
    ...request.ofCaller,
    ...(dependencies && { dependencies }),
    ...(output && { output }),
    ...(signal && { signal }),
  };
}

function originOf(request: ContinueRequest, run: Run): RunOrigin {
  const { regenerate, continueFrom, decisionsAt, input, additionalInstructions } = request;
  const refuse = (field: string, msg: string) =>
    InvalidRequestError.field([...decisionsAt.slice(0, -1), field], msg);
  if (regenerate && run.status !== "completed") {
    throw new ConflictError("The run failed: there is no answer to replace. Continue it without regenerate.");
  }
  const { messages } = run;
  if (typeof continueFrom === "number" && continueFrom > messages.length) {
    throw refuse("continue_from", `The run has ${messages.length} messages`);
  }
  const says = regenerate ? additionalInstructions : input;
  const isFresh = says === undefined;
  const end =
    typeof continueFrom === "number"
      ? beforeOpenCalls(messages, continueFrom)
      : continueFrom === "last_user" || regenerate
        ? messages.findLastIndex(({ role }) => role === "user") + 1
        : isFresh && run.status === "error"
          ? withoutLastWords(messages)
          : beforeOpenCalls(messages, messages.length);
  const last = messages.slice(0, end).findLast(({ role }) => role !== "system");
  if (isFresh && last?.role === "assistant" && !last.tool_calls) {
    throw refuse("input", `The run is ${run.status}. Say how it goes on: with an input, or with regenerate`);
  }
  return {
    runId: run.run_id,
    messages: end,
    ...(says !== undefined && { says }),
    regenerates: regenerate,
    replaces: regenerate && request.replaceOriginal !== false,
  };
}

/**
 * How many messages stand before a place, moved down before a model's turn whose calls have not all their outputs by then:
 * no provider takes the one without the others.
 */
export function beforeOpenCalls(messages: readonly Message[], index: number): number {
  return openTurn(messages.slice(0, index))?.at ?? index;
}

/** A failed run goes on with the calls that were left, or asks the model again: what it said last was no answer. */
function withoutLastWords(messages: readonly Message[]): number {
  const last = messages.at(-1);
  return last?.role === "assistant" && !last.tool_calls ? messages.length - 1 : messages.length;
}

/** What a run that is made of another begins with, and what its history is before. */
export interface TakenAlong {
  messages: Message[];
  /** The `order` of the first. */
  order: number;
  /** Ids of calls whose results are not known: the first ended while they were made. */
  begun: string[];
}

/**
 * The messages that a run takes along, as its own, and what the user says after them.
 *
 * @throws {NotFoundError} when the first was deleted
 */
export async function takenAlong(origin: RunOrigin, store: Store): Promise<TakenAlong> {
  const found = await store.runs.get({ runId: origin.runId });
  if (!found) throw new NotFoundError(`The run ${origin.runId} was deleted.`);
  // Where the first stays in the history of the session, it tells them; else this one does.
  const isTold = found.run.status === "completed" && !origin.regenerates;
  const messages = found.run.messages
    .slice(0, origin.messages)
    .map((message) => ({ ...message, id: newId(), ...(isTold && { from_history: true }) }));
  if (origin.says !== undefined) messages.push(newMessage("user", { content: origin.says }));
  const open = openTurn(messages);
  const begun = open?.calls.filter(({ call_id }) => !open.answered.has(call_id)).map(({ id }) => id) ?? [];
  return { messages, order: found.order, begun };
}
