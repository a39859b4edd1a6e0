import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** Stands between a client and a server, and can take the server away. */
export interface TcpProxy {
  port: number;
  /** Cuts every connection, and takes no more. */
  stop(): void;
  /** Takes connections again. */
  resume(): void;
  /** Lets nothing through any more, without a word. Connections stay open. `all`: those that come too. */
  freeze(all?: "all"): void;
  /** Closes one direction of every connection: what the client says is not passed on, what the server says is. */
  halfClose(): void;
  /** Milliseconds that everything comes later. */
  delay: number;
  /** Sees what clients send. */
  onData: ((chunk: Buffer) => void) | undefined;
  close(): Promise<void>;
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const upstreams = new Set<Socket>();
  let stopped = false;
  let frozen = false;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (stopped) return void client.destroy();
    const upstream = connect({ port: target.port, host: target.host, allowHalfOpen: true });
    upstreams.add(upstream);
    upstream.on("close", () => upstreams.delete(upstream));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      // What was delayed is not overtaken by what comes when nothing is delayed any more.
      let delayed = Promise.resolve();
      let waiting = 0;
      const later = (work: () => void) => {
        if (proxy.delay === 0 && waiting === 0) return work();
        waiting++;
        const due = performance.now() + proxy.delay;
        delayed = delayed
          .then(() => wait(Math.max(0, due - performance.now())))
          .then(() => {
            waiting--;
            work();
          });
      };
      from.on("data", (chunk) => {
        if (from === client) proxy.onData?.(chunk);
        later(() => to.writable && to.write(chunk));
      });
      from.on("end", () => later(() => to.end()));
      from.on("error", () => undefined);
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      if (frozen) from.pause();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    delay: 0,
    onData: undefined,
    stop() {
      stopped = true;
      for (const socket of sockets) socket.destroy();
    },
    resume() {
      stopped = false;
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    freeze(all) {
      frozen = all === "all";
      for (const socket of sockets) socket.pause();
    },
    halfClose() {
      for (const socket of upstreams) socket.end();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        proxy.stop();
      }),
  };
  return proxy;
}

/** A proxy before the server of a URL, and the URL that leads through it. */
export async function proxyOf(url: string): Promise<{ proxy: TcpProxy; url: string }> {
  const parsed = new URL(url);
  const proxy = await startTcpProxy({ host: parsed.hostname, port: Number(parsed.port) });
  parsed.port = String(proxy.port);
  return { proxy, url: parsed.toString() };
}
