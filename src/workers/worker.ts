import cluster from "node:cluster";
import { ConfigurationError } from "../errors.ts";
import { measured } from "../http/measured.ts";
import { type Address, type RunningServer, type Serving, serveHere } from "../serve.ts";
import type { Measured } from "../telemetry/meters.ts";
import { type Failure, Line, type ToPrimary, type ToWorker } from "./line.ts";
import type { WorkerPlace } from "./place.ts";

/** A worker that listens. */
export interface WorkerServer {
  server: RunningServer;
  /** What the other workers measured. */
  others(): Promise<readonly Measured[]>;
}

/**
 * Serves as one of the workers: on the port of all of them, and until the primary says that it is to stop, or is gone.
 *
 * @returns once it listens. Where it cannot, the process ends: the primary says why, once for all of them.
 */
export async function serveInPlace(
  place: WorkerPlace,
  serving: Serving,
  address: Address,
): Promise<WorkerServer> {
  let running: Awaited<ReturnType<typeof serveHere>> | undefined;
  const line = new Line<ToPrimary, ToWorker>(
    // Where the primary is gone, that is told by itself.
    (message) => void process.send?.(message, undefined, undefined, () => undefined),
    {
      stop: () => running?.stop.begin(),
      hurry: () => running?.stop.hurry(),
      stopListening: () => running?.server.stopListening(),
      metrics: () => measured(serving.served),
    },
    serving.served.logger,
  );
  process.on("message", (message) => line.take(message));
  try {
    running = await serveHere(
      serving,
      { ...address, port: place.port },
      async () => void (await line.ask("port")),
    );
  } catch (error) {
    await line.ask("failed", failureOf(error));
    process.exit(1);
  }
  outliveThePrimary(line, () => running?.stop.begin(), serving);
  void line.ask("listening");
  return {
    server: running.server,
    others: async () => ((await line.ask("others")) ?? []) as readonly Measured[],
  };
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error), stack: String(error) };
  const { message, stack } = error;
  return error instanceof ConfigurationError ? { message } : { message, stack };
}

/** A worker whose primary is gone gets no more connections. What it has under way it brings to its end. */
function outliveThePrimary(line: Line<ToPrimary, ToWorker>, stop: () => void, { served }: Serving): void {
  const worker = cluster.worker!;
  worker.once("disconnect", () => {
    // Without it Node ends the process here and now.
    worker.exitedAfterDisconnect = true;
    line.close();
    served.logger.warn("the process above this worker is gone");
    stop();
  });
}
