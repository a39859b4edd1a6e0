import type { ChildProcess } from "node:child_process";

/** A message by which Node's cluster hands a connection to a worker, or a worker says that it has taken one. */
interface HandOver {
  act?: string;
  seq?: number;
  ack?: number;
}

/**
 * Closes the connection that a worker was handed and did not come to take before it ended. Node forgets it: its client
 * would wait for ever, for it is neither served nor closed. There is at most one: a worker gets the next one when it has
 * taken the last.
 *
 * Node's own messages are looked at for it. Where a later version has others, this does nothing.
 */
export function closeLostConnection(worker: ChildProcess): void {
  const handedOver = new Map<number, { close(): void }>();
  const send = worker.send as (...message: unknown[]) => boolean;
  worker.send = (...given: unknown[]) => {
    const [message, connection] = given as [HandOver, { close(): void } | undefined];
    if (message.act === "newconn" && connection) handedOver.set(message.seq!, connection);
    return send.apply(worker, given);
  };
  worker.on("internalMessage", ({ ack }: HandOver) => handedOver.delete(ack!));
  worker.once("exit", () => {
    for (const connection of handedOver.values()) connection.close();
  });
}
