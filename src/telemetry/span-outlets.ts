import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import { Drops } from "./drops.ts";

/** Where spans go beside the database. A processor that throws loses the span, and takes nothing else with it. */
export class SpanOutlets {
  readonly #processors: readonly SpanProcessor[];
  readonly #logger: Logger;
  readonly #drops: Drops;

  constructor(processors: readonly SpanProcessor[], logger: Logger) {
    this.#processors = processors;
    this.#logger = logger;
    this.#drops = new Drops(logger, "a span processor failed");
  }

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#processors.length === 0;
  }

  /** How many times a processor failed to take a span, since the start. */
  get dropped(): number {
    return this.#drops.count;
  }

  /** Gives a span that has ended to each of them. */
  send(span: ReadableSpan): void {
    for (const processor of this.#processors) {
      try {
        // The type lets it be asynchronous, and a rejection that nobody hears of would end the process.
        const sent: unknown = processor.onEnd(span);
        if (sent instanceof Promise) sent.catch((error: unknown) => this.#failed(error));
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** Has them send what they hold, and stop. That one fails is logged. */
  async shutdown(): Promise<void> {
    await Promise.all(
      this.#processors.map(async (processor) => {
        try {
          await processor.shutdown();
        } catch (error) {
          this.#logger.warn({ err: error }, "a span processor was not shut down");
        }
      }),
    );
  }

  #failed(error: unknown): void {
    this.#drops.add(1, { err: error });
  }
}
