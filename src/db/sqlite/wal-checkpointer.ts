import { DatabaseSync } from "node:sqlite";
import { parentPort, Worker, workerData } from "node:worker_threads";

/** How often the log is moved into the database, in milliseconds. */
const interval = 200;

/**
 * Moves SQLite's write-ahead log into the database file on a thread of its own. Inside a commit it would hold up the
 * event loop for as long as the disk takes.
 */
export function startCheckpointer(path: string): { stop(): Promise<void> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: { checkpointPath: path } });
  worker.unref();
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  // Without it the log only grows, until the next start: no reason to end the server.
  worker.on("error", () => undefined);
  return {
    stop() {
      // A process that has nothing else to do would end before the worker did.
      worker.ref();
      worker.postMessage("stop");
      return ended;
    },
  };
}

function work(path: string): void {
  const db = new DatabaseSync(path, { timeout: 0 });
  let passive = 0;
  const timer = setInterval(() => {
    const result = db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get() as {
      log: number;
      checkpointed: number;
    };
    // A log that has been moved whole starts again from its beginning; once in a while its file is cut back too.
    const idle = result.log === result.checkpointed;
    passive = idle ? passive + 1 : 0;
    if (passive === 50) db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
  }, interval);
  parentPort?.once("message", () => {
    clearInterval(timer);
    db.close();
  });
}

const data = workerData as { checkpointPath?: string } | null;
if (data?.checkpointPath !== undefined) work(data.checkpointPath);
