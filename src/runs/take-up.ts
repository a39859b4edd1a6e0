import type { Logger } from "pino";
import type { AgentDefinition } from "../agent/definition.ts";
import type { Database } from "../db/database.ts";
import { openPrincipal } from "../db/principal.ts";
import type { ClaimedRun, RunRow } from "../db/queue.ts";
import type { Store } from "../db/store.ts";
import { AgentOSError, RunFaultError, UnavailableError } from "../errors.ts";
import { logIdsOf } from "../telemetry/log-ids.ts";
import { LiveRun } from "./live-run.ts";
import type { LogWriter } from "./log-writer.ts";
import { identityOf, type RestoredRun, restore } from "./restore.ts";
import { requestOf } from "./stored-request.ts";

/** What takes up claimed runs. */
interface TakeUpParts {
  db: Database;
  writer: LogWriter;
  logger: Logger;
  agents: ReadonlyMap<string, AgentDefinition>;
}

/** A claimed run as it begins here, or goes on. */
export type TakenUp = RestoredRun & { store: Store };

/**
 * Makes of a claimed run one that is under way here: from its start, or from its last checkpoint where another process, or
 * this one before a pause, was at it. One that cannot be taken up goes back into the queue, or ends, by whose fault it is.
 */
export async function takeUp(
  { row, session }: ClaimedRun,
  { db, writer, logger, agents }: TakeUpParts,
): Promise<TakenUp | undefined> {
  const store = db.storeFor(openPrincipal);
  try {
    const agent = agents.get(row.agent_id);
    if (!agent) throw new RunFaultError(`The agent ${row.agent_id} is not served here any more.`);
    const isNew = row.attempt === 1 && row.checkpoint_index < 0;
    const start =
      row.checkpoint === null ? { request: await requestOf(row, agent, store), session } : undefined;
    if (isNew && start) {
      const run = new LiveRun(identityOf(row, agent, row.attempt), store, writer);
      return { run, ...start, checkpoint: undefined, store };
    }
    const progress = await store.progress.get(row.run_id);
    if (!progress) return undefined;
    return {
      ...restore(progress, { agent, attempt: row.attempt, store, writer, ...(start && { start }) }),
      store,
    };
  } catch (error) {
    logger.error({ err: error, ...logIdsOf(row) }, "a background run could not be taken up");
    await giveUp(db, row, error).catch((failure: unknown) =>
      // It is given back with the next beat: the database holds it for this process's, which does not know it.
      logger.error({ err: failure, ...logIdsOf(row) }, "nor could it be given back"),
    );
    return undefined;
  }
}

async function giveUp(db: Database, row: RunRow, error: unknown): Promise<void> {
  if (error instanceof UnavailableError) {
    await db.queue().release(row.run_id, row.attempt);
    return;
  }
  const reason =
    error instanceof AgentOSError
      ? error
      : new RunFaultError(`The run could not be taken up. Look for ${row.run_id} in the server's log.`);
  await db.queue().end(row.run_id, row.attempt, reason);
}
