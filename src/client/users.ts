import type { Erased, ListedSession, Memory, Run } from "./answers.ts";
import { ConnectionError } from "./errors.ts";
import type { CallOptions } from "./options.ts";
import type { Transport } from "./transport.ts";

/** One thing that is stored of a user. */
export type ExportedEntry =
  | ({ type: "session" } & ListedSession)
  | ({ type: "run" } & Run)
  | ({ type: "memory" } & Memory);

/** All that is stored of a user. */
export class Users {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * All that is stored of a user, as it is read: each session followed by its runs, and at the end the memories.
   *
   * @throws {ConnectionError} when it is cut off: what came until then is not all
   */
  async *export(userId: string, { signal }: CallOptions = {}): AsyncGenerator<ExportedEntry, void, void> {
    const response = await this.#transport.open({ method: "GET", path: ["users", userId, "export"], signal });
    const body = response.body!.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    try {
      while (true) {
        const { done, value } = await body.read().catch((cause: unknown) => {
          signal?.throwIfAborted();
          throw new ConnectionError("The export was cut off.", { cause });
        });
        if (done) return;
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) yield JSON.parse(line) as ExportedEntry;
      }
    } finally {
      // Where nobody reads on.
      await body.cancel().catch(() => undefined);
    }
  }

  /** Erases all that is stored of a user; runs that are under way are ended first. */
  erase(userId: string, { signal }: CallOptions = {}): Promise<Erased> {
    return this.#transport.json({ method: "DELETE", path: ["users", userId], signal });
  }
}
