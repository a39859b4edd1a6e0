import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Store } from "../db/store.ts";
import { NotFoundError } from "../errors.ts";
import type { Run } from "../events/run.ts";
import { identifier } from "./identifiers.ts";
import { agentOf, type Served, storeOf, userOf } from "./served.ts";

/** The path of one run. */
export const runPath = z.object({
  agent_id: identifier.openapi({ example: "copilot" }),
  run_id: identifier.openapi({ example: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11" }),
});

/** Which run is meant. A session or user that is given must be the run's. */
interface RunRef {
  agent_id: string;
  run_id: string;
  session_id?: string | undefined;
  user_id?: string | undefined;
}

/** @throws {NotFoundError} when there is no such agent, or no such run for whoever asks */
export async function runOf(served: Served, c: Context, ref: RunRef): Promise<{ store: Store; run: Run }> {
  agentOf(served, ref.agent_id);
  const { store, run } = await findRun(served, c, ref);
  if (!run) throw new NotFoundError("Run not found");
  return { store, run };
}

/** The run for whoever asks, whether its agent is served or not; undefined where there is none. */
export async function findRun(
  served: Served,
  c: Context,
  { agent_id, run_id, session_id, user_id }: RunRef,
): Promise<{ store: Store; run: Run | undefined }> {
  const store = await storeOf(served, c, user_id);
  const userId = userOf(c, user_id);
  const found = await store.runs.get({
    runId: run_id,
    agentId: agent_id,
    ...(session_id !== undefined && { sessionId: session_id }),
    ...(userId !== undefined && { userId }),
  });
  return { store, run: found?.run };
}
