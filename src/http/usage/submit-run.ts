import type { Context } from "hono";
import { openPrincipal } from "../../db/principal.ts";
import type { Run } from "../../events/run.ts";
import type { Submitted } from "../../runs/runner-options.ts";
import type { StreamLife } from "../auth/open-streams.ts";
import type { Served } from "../served.ts";

/**
 * Hands a run in as far as its caller's limits let it, and its stream where it has one.
 */
export async function submitWithin<T extends Submitted>(
  served: Served,
  c: Context,
  { stream, userId }: { stream: boolean; userId?: string | undefined },
  submit: () => Promise<T>,
): Promise<{ submitted: T; life: StreamLife | undefined }> {
  const place = await served.meter?.startRun(c, userId);
  let life: StreamLife | undefined;
  try {
    life = stream ? await streamLife(served, c, userId) : undefined;
    const submitted = await submit();
    if (submitted.kind === "live") place?.follow(submitted.run);
    else if (submitted.kind === "queued") {
      place?.followStored({ ended: () => storedEnd(served, submitted) });
    } else place?.release();
    return { submitted, life };
  } catch (error) {
    place?.release();
    life?.done();
    throw error;
  }
}

/**
 * Uses a model for something that is no run, as far as the caller's limits let it.
 *
 * @param userId - whose tokens they are
 * @param work - what is done, and the tokens that it used
 * @throws {TooManyRequestsError} when too much is under way, or the day's tokens are used up
 */
export async function useWithin<T>(
  served: Served,
  c: Context,
  userId: string | undefined,
  work: () => Promise<{ result: T; tokens: number }>,
): Promise<T> {
  const place = await served.meter?.startRun(c, userId);
  try {
    const { result, tokens } = await work();
    place?.used(tokens);
    return result;
  } catch (error) {
    place?.release();
    throw error;
  }
}

/** A background run as it is stored at its end, wherever it was done; earlier where this process stops before. */
async function storedEnd(
  { db, runner }: Served,
  { runId, shownAfter = -1 }: { runId: string; shownAfter?: number },
): Promise<Run | undefined> {
  const store = db.storeFor(openPrincipal);
  for await (const _ of runner.follow(store, runId, shownAfter));
  return (await store.runs.get({ runId }))?.run;
}

/**
 * How long a stream may go on; undefined where nothing ends it but itself.
 *
 * @param userId - whose stream it is
 * @throws {TooManyRequestsError} when too many are open
 */
export async function streamLife(
  served: Served,
  c: Context,
  userId: string | undefined,
): Promise<StreamLife | undefined> {
  const release = await served.meter?.startStream(c, userId);
  const life = served.auth?.streamLife(c);
  if (!release) return life;
  return {
    signal: life?.signal ?? new AbortController().signal,
    done() {
      release();
      life?.done();
    },
  };
}
