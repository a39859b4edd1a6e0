import type { RunOrigin, RunRequest } from "../agent/runner.ts";
import type { Admission, IdempotencyKey, NewRun, QueueLimits } from "../db/records.ts";
import { newId } from "../events/ids.ts";
import type { RunLineage } from "../events/run.ts";
import type { RunIdentity } from "./live-run.ts";
import { mediaOf } from "./media.ts";
import { storedRequest } from "./stored-request.ts";

/** How a run is asked for, beside what is asked. */
export interface AcceptanceParts {
  background: boolean;
  key: IdempotencyKey | undefined;
  limits: QueueLimits;
  /** Which process does it, where it is done in foreground. */
  nodeId: string;
  /** Whether this process has room to begin it at once, where it is done in background. */
  hasRoom: boolean;
  traceparent: string | undefined;
}

/** A run that is to be accepted. */
export interface Proposal {
  run: NewRun;
  admission: Admission;
  /** What it is from its first moment on, where it is done here. */
  identity: RunIdentity;
}

/** Makes a run of a request, with an id and a session of its own where it names none. */
export function proposalOf(
  request: RunRequest,
  { background, key, limits, nodeId, hasRoom, traceparent }: AcceptanceParts,
): Proposal {
  const { agent, onBusy = background ? "enqueue" : "parallel" } = request;
  const media = mediaOf(request.attachments ?? []);
  const waits = onBusy === "enqueue" || onBusy === "interrupt";
  const lineage = request.origin && lineageFrom(request.origin);
  const shared = {
    runId: `run_${newId()}`,
    sessionId: request.sessionId ?? newId(),
    agentId: agent.id,
    userId: request.userId,
    background,
    input: { input_content: request.message, ...media.references },
    metadata: { ...agent.metadata, ...request.metadata },
    createdAt: Date.now(),
    ...(lineage && { lineage }),
    ...(traceparent !== undefined && { traceparent }),
  };
  return {
    run: {
      ...shared,
      nodeId: background ? undefined : nodeId,
      ...(hasRoom && { takenBy: nodeId }),
      begins: !background && !waits,
      waits,
      request: background ? storedRequest(request) : null,
      model: agent.model.id,
      modelProvider: agent.model.provider,
      sessionState: { ...agent.sessionState, ...request.sessionState },
      media: media.stored,
    },
    admission: {
      limits,
      ...(onBusy === "reject" || onBusy === "interrupt" ? { ifBusy: onBusy } : {}),
      ...(key && { key }),
    },
    identity: { ...shared, agentName: agent.name, attempt: 1 },
  };
}

function lineageFrom({ runId, messages, regenerates }: RunOrigin): RunLineage {
  return {
    forked_from_run_id: runId,
    forked_from_message_index: messages,
    ...(regenerates && { regenerated_from: runId }),
  };
}
