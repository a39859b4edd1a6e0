import { closeSync, fdatasync, openSync } from "node:fs";
import { parentPort, receiveMessageOnPort, Worker, workerData } from "node:worker_threads";
import { DatabaseUnavailableError } from "../../errors.ts";
import { preparedQuery } from "../prepared.ts";
import { BatchWriter, type Outcome } from "./batch-writer.ts";
import { SqliteConnection } from "./connection.ts";
import { failureOf } from "./failure.ts";
import type { RunStatements } from "./run-statements.ts";
import { type Asker, settle, type Writer } from "./writer.ts";
import type { Write } from "./writes.ts";

/** A write, with the number that its answer has. */
interface Asked {
  id: number;
  write: Write;
  durable: boolean;
}

/** What became of a write. */
interface Answered {
  id: number;
  outcome: Outcome;
}

/** What the thread is sent. */
type Message = readonly Asked[] | "close";

/** What the thread is started with. */
interface Started {
  writtenPath: string;
  statements: SentStatements;
}

/** A statement without its function, which cannot be sent. */
type SentStatement = Pick<RunStatements["owner"], "sql" | "parts">;
type SentStatements = Record<string, SentStatement | SentStatement[]>;

/** Writes that are sent before the event loop has come round: the thread works on them while it goes on. */
const manyWaiting = 8;

/** Milliseconds after which the thread is started without a write: whoever waits for the server to answer comes first. */
const startDelay = 100;

/**
 * Writes a file on a thread of its own: what SQLite does for a run would take a quarter of the event loop's time. What comes
 * while the thread commits, or waits for the disk, shares the next commit, or the next wait.
 */
export class ThreadWriter implements Writer {
  readonly #started: Started;
  readonly #askers = new Map<number, Asker>();
  readonly #soon: NodeJS.Timeout;
  #thread: Worker | undefined;
  #waiting: Asked[] = [];
  #lastId = 0;
  #isClosed = false;

  constructor(path: string, statements: RunStatements) {
    this.#started = { writtenPath: path, statements: sent(statements) };
    this.#soon = setTimeout(() => {
      this.#thread ??= this.#start();
    }, startDelay).unref();
  }

  write(write: Write, durable: boolean): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new DatabaseUnavailableError("The database is closed."));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#askers.set(id, { resolve, reject });
      const waiting = this.#waiting.push({ id, write, durable });
      // The first is sent as soon as what made it has made all it makes at once.
      if (this.#askers.size === 1) queueMicrotask(() => this.#send());
      else if (waiting === 1) setImmediate(() => this.#send());
      else if (waiting === manyWaiting) this.#send();
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#soon);
    this.#isClosed = true;
    this.#send();
    const thread = this.#thread;
    if (!thread) return;
    const ended = new Promise<void>((resolve) => thread.once("exit", () => resolve()));
    thread.ref();
    thread.postMessage("close" satisfies Message);
    await ended;
  }

  #send(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#thread ??= this.#start();
    this.#thread.ref();
    this.#post(this.#thread, waiting);
  }

  /** What cannot be sent fails by itself, without the others. */
  #post(thread: Worker, asked: readonly Asked[]): void {
    try {
      thread.postMessage(asked satisfies Message);
    } catch (error) {
      if (asked.length > 1) for (const one of asked) this.#post(thread, [one]);
      else this.#settle(thread, asked[0]!.id, { failure: failureOf(error) });
    }
  }

  #settle(thread: Worker, id: number, outcome: Outcome): void {
    const asker = this.#askers.get(id)!;
    this.#askers.delete(id);
    settle(asker, outcome);
    if (this.#askers.size === 0) thread.unref();
  }

  #start(): Worker {
    // Options of the process are none of the thread's: some cannot be a thread's at all, and preloads would run in it too.
    const thread = new Worker(new URL(import.meta.url), { workerData: this.#started, execArgv: [] });
    thread.on("message", (answers: readonly Answered[]) => {
      for (const { id, outcome } of answers) this.#settle(thread, id, outcome);
    });
    let reason = "it was ended";
    thread.on("error", (error) => {
      reason = error instanceof Error ? error.message : String(error);
    });
    // The next write starts another.
    thread.once("exit", () => {
      this.#thread = undefined;
      const failure = new DatabaseUnavailableError(
        `The thread that writes the database has ended: ${reason}. Try again.`,
      );
      for (const { reject } of this.#askers.values()) reject(failure);
      this.#askers.clear();
      this.#waiting = [];
    });
    // After the listeners, for they would hold the process again. It may end when it has nothing else to do.
    thread.unref();
    return thread;
  }
}

function sent(statements: RunStatements): SentStatements {
  const one = ({ sql, parts }: SentStatement) => ({ sql, parts });
  return Object.fromEntries(
    Object.entries(statements).map(([name, some]) => [
      name,
      Array.isArray(some) ? some.map(one) : one(some as SentStatement),
    ]),
  );
}

function received(statements: SentStatements): RunStatements {
  return Object.fromEntries(
    Object.entries(statements).map(([name, some]) => [
      name,
      Array.isArray(some) ? some.map(preparedQuery) : preparedQuery(some),
    ]),
  ) as RunStatements;
}

/** What the thread does. */
class WriterThread {
  readonly #connection: SqliteConnection;
  readonly #batches: BatchWriter;
  readonly #log: number;
  /** What is committed, and waits for the disk. */
  #committed: Answered[] = [];
  #syncing = false;

  constructor({ writtenPath, statements }: Started) {
    this.#connection = new SqliteConnection(writtenPath, { locked: false });
    this.#batches = new BatchWriter(this.#connection, received(statements));
    this.#log = openSync(`${writtenPath}-wal`, "r");
  }

  close(): void {
    this.#connection.close();
    closeSync(this.#log);
  }

  commit(asked: readonly Asked[]): void {
    const outcomes = this.#batches.commit(asked.map(({ write }) => write));
    const answers: Answered[] = [];
    for (const [i, { id, durable }] of asked.entries()) {
      const outcome = outcomes[i]!;
      if (durable && "value" in outcome) this.#committed.push({ id, outcome });
      else answers.push({ id, outcome });
    }
    if (answers.length > 0) parentPort!.postMessage(answers);
    this.#sync();
  }

  /** Waits for the disk, as `synchronous = FULL` does inside every commit; meanwhile the next ones are committed. */
  #sync(): void {
    if (this.#syncing || this.#committed.length === 0) return;
    const committed = this.#committed;
    this.#committed = [];
    this.#syncing = true;
    fdatasync(this.#log, (error) => {
      this.#syncing = false;
      const failure = error && failureOf(error);
      parentPort!.postMessage(
        failure ? committed.map(({ id }) => ({ id, outcome: { failure } })) : committed,
      );
      this.#sync();
    });
  }
}

const started = workerData as Partial<Started> | null;
if (parentPort && started?.writtenPath !== undefined) {
  const port = parentPort;
  const thread = new WriterThread(started as Started);
  port.on("message", (first: Message) => {
    const asked: Asked[] = [];
    let message: Message | undefined = first;
    // What has come meanwhile shares the commit. Nothing comes after a close.
    while (message !== undefined && message !== "close") {
      asked.push(...message);
      message = receiveMessageOnPort(port)?.message as Message | undefined;
    }
    if (asked.length > 0) thread.commit(asked);
    if (message !== "close") return;
    thread.close();
    port.close();
  });
}
