import type { CallOptions } from "./options.ts";
import type { Transport } from "./transport.ts";

/** The files of runs. */
export class Media {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The bytes of a file as they were sent, under its type. Its id stands in a run's `input`. */
  get(mediaId: string, { signal }: CallOptions = {}): Promise<Blob> {
    return this.#transport.send({ method: "GET", path: ["media", mediaId], signal }, (response) =>
      response.blob(),
    );
  }
}
