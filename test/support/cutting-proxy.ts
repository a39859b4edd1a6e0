import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A proxy that cuts connections by itself. */
export interface CuttingProxy {
  url: string;
  /** Answers that it cut off so far. */
  cuts: number;
  close(): Promise<void>;
}

/** Numbers from 0 to 1 that look random and are the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Stands between a client and a server, and cuts each connection at some byte of what the server sends.
 *
 * @param bytes - how many bytes of the server a connection lets through; asked once for each connection
 */
export async function startCuttingProxy(target: string, bytes: () => number): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let left = bytes();
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("end", () => to.end());
      from.on("error", () => undefined);
      from.on("close", () => {
        sockets.delete(from);
        if (from === client) upstream.destroy();
        else if (left > 0) client.destroy();
      });
    }
    client.on("data", (chunk) => upstream.write(chunk));
    upstream.on("data", (chunk) => {
      if (chunk.length < left) {
        left -= chunk.length;
        client.write(chunk);
        return;
      }
      proxy.cuts++;
      // What comes before the cut arrives, in the middle of a frame as often as not.
      client.write(chunk.subarray(0, left));
      left = 0;
      upstream.destroy();
      // A browser throws away what it has not read yet when a connection ends before its answer does.
      setTimeout(() => client.destroy(), 50);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const proxy: CuttingProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return proxy;
}
