import { Writable } from "node:stream";
import { pino } from "pino";

/** What a server's log says, as objects. */
export function logOf(level = "info") {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  return { lines, logger: pino({ level }, sink) };
}
