import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { DatabaseUnavailableError } from "../../errors.ts";
import { preparedQuery } from "../prepared.ts";
import { BatchWriter, type Outcome } from "./batch-writer.ts";
import { SqliteConnection } from "./connection.ts";
import { type Failure, failureOf } from "./failure.ts";
import { OwnThread } from "./own-thread.ts";
import type { RunStatements } from "./run-statements.ts";
import { WalSync } from "./wal-sync.ts";
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

/** The thread as its user sees it. */
type Thread = OwnThread<Message, readonly Answered[]>;

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
  #thread: Thread | undefined;
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
    await this.#thread?.stop("close");
  }

  #send(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#thread ??= this.#start();
    this.#thread.hold(true);
    this.#post(this.#thread, waiting);
  }

  /** What cannot be sent fails by itself, without the others. */
  #post(thread: Thread, asked: readonly Asked[]): void {
    try {
      thread.post(asked);
    } catch (error) {
      if (asked.length > 1) for (const one of asked) this.#post(thread, [one]);
      else this.#settle(thread, asked[0]!.id, { failure: failureOf(error) });
    }
  }

  #settle(thread: Thread, id: number, outcome: Outcome): void {
    const asker = this.#askers.get(id)!;
    this.#askers.delete(id);
    settle(asker, outcome);
    if (this.#askers.size === 0) thread.hold(false);
  }

  #start(): Thread {
    let reason = "it was ended";
    const thread: Thread = new OwnThread(import.meta.url, this.#started, {
      onMessage: (answers) => {
        for (const { id, outcome } of answers) this.#settle(thread, id, outcome);
      },
      onError: (error) => {
        reason = error instanceof Error ? error.message : String(error);
      },
    });
    // The next write starts another.
    void thread.ended.then(() => {
      this.#thread = undefined;
      const failure = new DatabaseUnavailableError(
        `The thread that writes the database has ended: ${reason}. Try again.`,
      );
      for (const { reject } of this.#askers.values()) reject(failure);
      this.#askers.clear();
      this.#waiting = [];
    });
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
  readonly #disk: WalSync;
  /** What is committed, and waits for the disk. */
  #committed: Answered[] = [];
  #syncing = false;

  constructor({ writtenPath, statements }: Started) {
    this.#connection = new SqliteConnection(writtenPath, { locked: false });
    this.#batches = new BatchWriter(this.#connection, received(statements));
    this.#disk = new WalSync(writtenPath);
  }

  close(): void {
    this.#connection.close();
    this.#disk.close();
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

  /** Has what is committed answered once it is on the disk; meanwhile the next ones are committed. */
  #sync(): void {
    if (this.#syncing || this.#committed.length === 0) return;
    const committed = this.#committed;
    this.#committed = [];
    this.#syncing = true;
    const failed = (failure: Failure) => committed.map(({ id }) => ({ id, outcome: { failure } }));
    void this.#disk
      .sync()
      .then(
        () => committed,
        (error: unknown) => failed(failureOf(error)),
      )
      .then((answers) => {
        this.#syncing = false;
        parentPort!.postMessage(answers);
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
