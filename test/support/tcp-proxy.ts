import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands between a client and a server, and can take the server away. */
export interface TcpProxy {
  port: number;
  /** Cuts every connection, and takes no more. */
  stop(): void;
  /** Takes connections again. */
  resume(): void;
  /** Lets nothing through any more, without a word. Connections stay open. */
  freeze(): void;
  /** Sees what clients send. */
  onData: ((chunk: Buffer) => void) | undefined;
  close(): Promise<void>;
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let stopped = false;
  const server = createServer((client) => {
    if (stopped) return void client.destroy();
    const upstream = connect(target.port, target.host);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => {
        if (from === client) proxy.onData?.(chunk);
        to.write(chunk);
      });
      from.on("end", () => to.end());
      from.on("error", () => undefined);
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    onData: undefined,
    stop() {
      stopped = true;
      for (const socket of sockets) socket.destroy();
    },
    resume() {
      stopped = false;
      for (const socket of sockets) socket.resume();
    },
    freeze() {
      for (const socket of sockets) socket.pause();
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
