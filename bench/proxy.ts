/**
 * A load balancer of the plainest kind: hands each connection to the next server, and passes on what comes.
 *
 *   PORT=7000 TARGETS=7001,7002 node bench/proxy.ts
 */
import { connect, createServer } from "node:net";

const targets = (process.env.TARGETS ?? "").split(",").map(Number);
let taken = 0;

createServer({ noDelay: true }, (client) => {
  const port = targets[taken++ % targets.length]!;
  const server = connect({ port, host: "127.0.0.1", noDelay: true });
  client.pipe(server).pipe(client);
  client.on("error", () => server.destroy());
  server.on("error", () => client.destroy());
  client.on("close", () => server.destroy());
  server.on("close", () => client.destroy());
}).listen(Number(process.env.PORT ?? 7000), "127.0.0.1");
