import type { Logger } from "pino";
import type { ServerStore } from "../../db/server-store.ts";
import type { AuditEntry } from "../../db/stores/audit-log.ts";
import type { AgentOSError } from "../../errors.ts";
import { clientNetwork } from "./client-address.ts";
import { RefusalBudget } from "./refusal-budget.ts";

/** Milliseconds that entries wait for others. */
const interval = 250;

/** Milliseconds after which refusals that were only counted are written as one entry. */
const minute = 60_000;

/** Refusals that wait to be written. Whoever sends wrong tokens by the thousand fills no memory. */
const mostDenied = 500;

/** Entries of what was allowed that wait while the database is away. */
const mostAllowed = 10_000;

/** Milliseconds between two looks for what is too old. */
const sweepEvery = 3_600_000;

const dayLength = 86_400_000;

/** Longest path that is kept. */
const longestPath = 500;

/** Who and what an entry is about. */
export type AuditSubject = {
  [K in "userId" | "tokenId" | "actedFor" | "address"]: string | undefined;
} & { method: string; path: string };

/** Writes the audit log, some entries at a time, beside the requests that they are about. */
export class AuditWriter {
  readonly #store: () => Promise<ServerStore>;
  readonly #logger: Logger;
  readonly #keepFor: number;
  /** Whoever sends wrong tokens by the thousand fills no disk either. */
  readonly #budget = new RefusalBudget<AuditEntry>();
  #minute: NodeJS.Timeout | undefined;
  #denied: AuditEntry[] = [];
  #allowed: AuditEntry[] = [];
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(store: () => Promise<ServerStore>, keepDays: number, logger: Logger) {
    this.#store = store;
    this.#keepFor = keepDays * dayLength;
    this.#logger = logger;
  }

  /** Somebody was refused. */
  denied(subject: AuditSubject, error: AgentOSError): void {
    this.#minute ??= setTimeout(() => this.#endMinute(), minute).unref();
    const refused = entry(subject, "denied", error.status, error.message);
    const whose =
      subject.userId === undefined ? `ip:${clientNetwork(subject.address ?? "")}` : `user:${subject.userId}`;
    if (this.#budget.take(whose, refused)) this.#deny(refused);
  }

  #deny(refused: AuditEntry): void {
    if (this.#denied.length >= mostDenied) this.#dropped++;
    else this.#denied.push(refused);
    this.#writeSoon();
  }

  /** Of what was only counted, one entry tells how much it was, and the last of it. */
  #endMinute(): void {
    clearTimeout(this.#minute);
    this.#minute = undefined;
    for (const { last, count } of this.#budget.end()) {
      const other = { at: Date.now(), outcome: "denied" as const, status: 401, method: "*", path: "*" };
      const reason = `${count} more refusals within a minute, of ${last ? "this caller, such as this one" : "many callers"}`;
      this.#deny({ ...(last ?? other), reason });
    }
  }

  /** Writes what waits, and what was only counted. */
  async close(): Promise<void> {
    this.#endMinute();
    await this.flush();
  }

  /** Somebody did what is written down. */
  allowed(subject: AuditSubject, status: number): void {
    if (this.#allowed.length >= mostAllowed) this.#dropped++;
    else this.#allowed.push(entry(subject, "allowed", status));
    this.#writeSoon();
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  #writeSoon(): void {
    this.#timer ??= setTimeout(() => void this.flush(), interval).unref();
  }

  async #write(): Promise<void> {
    const entries = [...this.#allowed, ...this.#denied].toSorted((a, b) => a.at - b.at);
    if (entries.length === 0) return;
    const { length: allowed } = this.#allowed;
    const { length: denied } = this.#denied;
    try {
      const { audit } = await this.#store();
      await audit.add(entries);
      this.#allowed = this.#allowed.slice(allowed);
      this.#denied = this.#denied.slice(denied);
      if (this.#dropped > 0) {
        this.#logger.warn({ dropped: this.#dropped }, "more was refused than the audit log takes");
        this.#dropped = 0;
      }
      await this.#sweepSometimes();
    } catch (error) {
      this.#logger.warn({ err: error, waiting: entries.length }, "the audit log was not written");
    }
  }

  async #sweepSometimes(): Promise<void> {
    if (performance.now() - this.#sweptAt < sweepEvery) return;
    this.#sweptAt = performance.now();
    const { audit } = await this.#store();
    await audit.sweep(Date.now() - this.#keepFor);
  }
}

function entry(
  { userId, tokenId, actedFor, address, method, path }: AuditSubject,
  outcome: AuditEntry["outcome"],
  status: number,
  reason?: string,
): AuditEntry {
  return {
    at: Date.now(),
    outcome,
    status,
    ...(userId !== undefined && { userId }),
    ...(tokenId !== undefined && { tokenId }),
    ...(actedFor !== undefined && { actedFor }),
    ...(address && { address }),
    method,
    // PostgreSQL has no text with a NUL in it.
    path: path.slice(0, longestPath).replaceAll("\u0000", "\ufffd").toWellFormed(),
    ...(reason !== undefined && { reason: reason.slice(0, longestPath).replaceAll("\u0000", "\ufffd") }),
  };
}
