import type { Context } from "hono";
import type { RunRequest } from "../../agent/runner.ts";
import type { LiveRun } from "../../runs/live-run.ts";
import type { StreamLife } from "../auth/open-streams.ts";
import type { Served } from "../served.ts";

/** Starts a run as far as its caller's limits let it, and its stream where it has one. */
export async function startWithin(
  served: Served,
  c: Context,
  { stream, userId }: Pick<RunRequest, "stream" | "userId">,
  start: () => Promise<LiveRun>,
): Promise<{ run: LiveRun; life: StreamLife | undefined }> {
  const place = await served.meter?.startRun(c, userId);
  let life: StreamLife | undefined;
  try {
    life = stream ? await streamLife(served, c, userId) : undefined;
    const run = await start();
    place?.follow(run);
    return { run, life };
  } catch (error) {
    place?.release();
    life?.done();
    throw error;
  }
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
