import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { OwnThread } from "./own-thread.ts";

/** How often the log is moved into the database, in milliseconds. */
const interval = 200;

/** Pages of the log from which on it should begin anew; a page is 4 KiB. */
const manyPages = 16_000;

/** What the thread tells after each round. */
type Told = { failed: string } | { pages: number };

/** A thread that moves the log. */
export interface Checkpointer {
  /** Why the last round failed. */
  readonly failure: string | undefined;
  stop(): Promise<void>;
}

/**
 * Moves SQLite's write-ahead log into the database file on a thread of its own. Inside a commit it would hold up the
 * event loop for as long as the disk takes.
 *
 * @param onLongLog - called when the log has grown long: only its writer can begin it anew
 */
export function startCheckpointer(path: string, onLongLog: () => void): Checkpointer {
  let failure: string | undefined;
  let thread: OwnThread<"stop", Told> | undefined;
  const start = () => {
    thread = new OwnThread(
      import.meta.url,
      { checkpointPath: path },
      {
        onMessage: (told: Told) => {
          failure = "failed" in told ? told.failed : undefined;
          if ("pages" in told && told.pages > manyPages) onLongLog();
        },
        onError: (error) => {
          failure = error instanceof Error ? error.message : String(error);
        },
      },
    );
  };
  // There is nothing to move yet, and a thread that starts takes time from whoever waits for the server.
  const timer = setTimeout(start, interval).unref();
  return {
    get failure() {
      return failure;
    },
    async stop() {
      clearTimeout(timer);
      await thread?.stop("stop");
    },
  };
}

function work(path: string): void {
  const db = new DatabaseSync(path, { timeout: 0 });
  const tell = (told: Told) => parentPort?.postMessage(told);
  let idleRounds = 0;
  const round = () => {
    const result = db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get() as {
      log: number;
      checkpointed: number;
    };
    // A log that has been moved whole starts again from its beginning; once in a while its file is cut back too.
    idleRounds = result.log === result.checkpointed ? idleRounds + 1 : 0;
    if (idleRounds === 50) db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    tell({ pages: result.log });
  };
  const timer = setInterval(() => {
    try {
      round();
    } catch (error) {
      // A full disk may have room again at the next round.
      tell({ failed: error instanceof Error ? error.message : String(error) });
    }
  }, interval);
  parentPort?.once("message", () => {
    clearInterval(timer);
    db.close();
  });
}

const data = workerData as { checkpointPath?: string } | null;
if (data?.checkpointPath !== undefined) work(data.checkpointPath);
