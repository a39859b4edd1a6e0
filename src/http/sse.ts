import { LogGoneError } from "../errors.ts";
import type { LogEntry } from "../runs/run-log.ts";
import type { StreamLife } from "./auth/open-streams.ts";

/** Headers that keep proxies from holding the stream back, and caches from keeping it. */
export const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

/** Common proxies cut a connection that is silent for 60 s. */
const keepAliveInterval = 15_000;

/** A reader that has not taken what it was sent for so long is let go; it can come back. */
const drainLimit = 30_000;

/** Milliseconds after which a browser comes back. */
const retry = 1000;

let open = 0;

/** How many streams are being read from this process. */
export function openStreams(): number {
  return open;
}

/** The frames of a run's events, as they come. Where the log was deleted meanwhile, the last one says so. */
export async function* eventFrames(
  follow: AsyncIterable<readonly LogEntry[]>,
  toWire: (entry: LogEntry) => string,
): AsyncGenerator<string, void, void> {
  try {
    for await (const entries of follow) {
      let text = "";
      for (const entry of entries) {
        text += `id: ${entry.index}\nevent: ${entry.event}\ndata: ${toWire(entry)}\n\n`;
      }
      yield text;
    }
  } catch (error) {
    if (!(error instanceof LogGoneError)) throw error;
    yield controlFrame("error", { run_id: error.runId, error: error.message, error_type: error.code });
  }
}

/** A frame that is no event of the run. It carries no `id:`, so that the reader's cursor stays where it is. */
export function controlFrame(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify({ event, ...data })}\n\n`;
}

/**
 * Frames as a stream of Server-Sent Events. A reader is pulled, never pushed: what it has not read waits in the log, not
 * in its connection. Going away ends the reading, not the run.
 *
 * @param onLeave - called when the reader goes away before the end
 * @param life - how long it may go on: it ends with its reader's token, who takes it up again with a new one
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function eventStream(
  frames: AsyncGenerator<string, void, void>,
  onLeave?: () => void,
  life?: StreamLife,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let timer: NodeJS.Timeout | undefined;
  let lastSent = Date.now();
  let over = false;

  const tick = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const hasTakenAll = (controller.desiredSize ?? 0) > 0;
    if (hasTakenAll) {
      lastSent = Date.now();
      controller.enqueue(encoder.encode(": keep-alive\n\n"));
    } else if (Date.now() - lastSent >= drainLimit) {
      stop();
      onLeave?.();
      controller.error(new Error("The reader took nothing for too long."));
    }
  };

  const stop = () => {
    over = true;
    if (timer !== undefined) open--;
    clearInterval(timer);
    timer = undefined;
    life?.done();
    // Not awaited: the log may have nothing for it for a long time.
    frames.return().catch(() => undefined);
  };

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(encoder.encode(`retry: ${retry}\n\n`));
        const endWithToken = () => {
          // What has ended by itself takes no more words, and an error in a listener would end the process.
          if (over) return;
          stop();
          controller.enqueue(encoder.encode(": the token is no longer good; resume with a new one\n\n"));
          controller.close();
        };
        // It may have ended while the run was handed in: then nobody will tell.
        if (life?.signal.aborted) endWithToken();
        else life?.signal.addEventListener("abort", endWithToken, { once: true });
      },
      async pull(controller) {
        // Not before somebody reads: a stream that is thrown away unread leaves nothing behind.
        if (timer === undefined) {
          open++;
          timer = setInterval(tick, keepAliveInterval, controller);
        }
        try {
          const { done, value } = await frames.next();
          if (timer === undefined) return;
          if (done) {
            stop();
            controller.close();
            return;
          }
          lastSent = Date.now();
          controller.enqueue(encoder.encode(value));
        } catch (error) {
          stop();
          throw error;
        }
      },
      cancel() {
        stop();
        onLeave?.();
      },
    },
    { highWaterMark: 1 },
  );
}
