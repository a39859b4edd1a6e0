import type { Context } from "hono";
import type { Submitted } from "../../runs/runner-options.ts";
import type { StreamLife } from "../auth/open-streams.ts";
import type { Served } from "../served.ts";

/**
 * Hands a run in as far as its caller's limits let it, and its stream where it has one. A background run holds no place
 * once it is stored: from then on its row counts.
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
    else place?.release();
    return { submitted, life };
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
