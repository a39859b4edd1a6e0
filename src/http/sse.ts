import type { LogEntry } from "../runs/run-log.ts";

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

/** What a stream of a run is made of. */
export interface EventSource {
  follow: AsyncGenerator<readonly LogEntry[], void, void>;
  toWire(entry: LogEntry): string;
}

/**
 * The events of a run as Server-Sent Events. A reader is pulled, never pushed: what it has not read waits in the log, not
 * in its connection. Going away ends the reading, not the run.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function eventStream(source: EventSource): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let timer: NodeJS.Timeout | undefined;
  let lastSent = Date.now();
  let waitingForReader = false;

  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    // Not awaited: the log may have nothing for it for a long time.
    void source.follow.return();
  };

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(encoder.encode(`retry: ${retry}\n\n`));
        timer = setInterval(() => {
          if (waitingForReader) {
            if (Date.now() - lastSent < drainLimit) return;
            stop();
            controller.error(new Error("The reader took nothing for too long."));
          } else {
            controller.enqueue(encoder.encode(": keep-alive\n\n"));
          }
        }, keepAliveInterval);
      },
      async pull(controller) {
        waitingForReader = false;
        const { done, value } = await source.follow.next();
        if (timer === undefined) return;
        if (done) {
          stop();
          controller.close();
          return;
        }
        lastSent = Date.now();
        waitingForReader = true;
        controller.enqueue(encoder.encode(frames(value, source)));
      },
      cancel: stop,
    },
    { highWaterMark: 1 },
  );
}

function frames(entries: readonly LogEntry[], source: EventSource): string {
  let text = "";
  for (const entry of entries) {
    text += `id: ${entry.index}\nevent: ${entry.event}\ndata: ${source.toWire(entry)}\n\n`;
  }
  return text;
}
