import type { Context } from "hono";
import type { Store } from "../db/store.ts";
import { InvalidRequestError } from "../errors.ts";
import { type RunEnvelope, wireOf } from "../runs/run-log.ts";
import type { StreamLife } from "./auth/open-streams.ts";
import type { Served } from "./served.ts";
import { eventFrames, eventStream, streamHeaders } from "./sse.ts";

/** A run by its ids. */
interface RunIds {
  run_id: string;
  session_id: string;
  agent_id: string;
}

/** What stands in every event of a run that is read from its stored log. */
export function envelopeOf({ agents }: Pick<Served, "agents">, run: RunIds): RunEnvelope {
  const agentName = agents.get(run.agent_id)?.name;
  return {
    agent_id: run.agent_id,
    ...(agentName === undefined ? {} : { agent_name: agentName }),
    run_id: run.run_id,
    session_id: run.session_id,
  };
}

/** Streams the events of a run after an index, wherever it is done. */
export function streamRun(
  served: Served,
  c: Context,
  { store, run, after, life }: { store: Store; run: RunIds; after: number; life: StreamLife | undefined },
): Response {
  const leave = new AbortController();
  const log = served.runner.follow(store, run.run_id, after, leave.signal);
  const frames = eventFrames(log, wireOf(envelopeOf(served, run)));
  return c.body(
    eventStream(frames, () => leave.abort(), life),
    200,
    streamHeaders,
  );
}

/**
 * Whether a run is answered as a stream. Of a background run that says nothing of it, only clients of the original expect one.
 *
 * @throws {InvalidRequestError} when it is to be done in background, and would be lost with the process
 */
export function isStreamed(
  { inMemory, agnoCompat }: Pick<Served, "inMemory" | "agnoCompat">,
  { stream, background }: { stream: boolean | undefined; background: boolean },
): boolean {
  if (background && inMemory) {
    throw new InvalidRequestError(
      "background: This server keeps its runs in memory, where they would be lost with it. Give it a database.",
    );
  }
  return stream ?? (!background || agnoCompat);
}
