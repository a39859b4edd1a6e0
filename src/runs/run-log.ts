import type { RunEvent, RunEventBody, RunEventEnvelope } from "../events/run-events.ts";

/** What stands in every event of one run. */
export type RunEnvelope = Omit<RunEventEnvelope, "created_at" | "event_index">;

/** An event with its place in the log, already in the form in which it is stored. */
export interface LogEntry {
  index: number;
  event: RunEventBody["event"];
  /** The event's JSON without its envelope. */
  json: string;
}

/** What writes the events of a run as they are on the wire. Its envelope is made once: it is the same for each. */
export function wireOf(envelope: RunEnvelope): (entry: LogEntry) => string {
  const prefix = `${JSON.stringify(envelope).slice(0, -1)},"event_index":`;
  return ({ index, json }) => `${prefix}${index},${json.slice(1)}`;
}

/** An event as JSON without its opening brace. There is one a token of this kind: only what differs is made anew. */
function fieldsOf(event: RunEventBody): string {
  return event.event === "RunContent"
    ? `"event":"RunContent","content":${JSON.stringify(event.content)},"content_type":"${event.content_type}"}`
    : JSON.stringify(event).slice(1);
}

/** Bytes of stored events that a log keeps in memory for its readers. Who is further behind reads the database. */
const tailLimit = 1024 * 1024;

/**
 * The log of a run that is under way in this process: it numbers events, keeps its tail in memory, and wakes whoever
 * follows it. What happens in one turn of the event loop wakes a reader once.
 */
export class RunLog {
  readonly envelope: RunEnvelope;
  /** Writes an event as it is on the wire. */
  readonly toWire: (entry: LogEntry) => string;
  readonly #storedFirst: boolean;
  readonly #isOurs: () => boolean;
  readonly #entries: LogEntry[] = [];
  /** Index of the first entry in memory. */
  #tailStart = 0;
  #tailBytes = 0;
  #storedIndex = -1;
  #ended = false;
  #isLeft = false;
  #isCut = false;
  #waiting: (() => void)[] = [];
  #wakeScheduled = false;

  /**
   * @param options - `storedFirst`: readers get an event once it is stored, and not before; `firstIndex`: where it goes on,
   *   for a run that was taken up again: what is before is in the database; `isOurs`: whether no other process can be at it
   */
  constructor(
    envelope: RunEnvelope,
    {
      storedFirst,
      firstIndex = 0,
      isOurs,
    }: { storedFirst: boolean; firstIndex?: number; isOurs: () => boolean },
  ) {
    this.envelope = envelope;
    this.#tailStart = firstIndex;
    this.#storedIndex = firstIndex - 1;
    this.toWire = wireOf(envelope);
    this.#storedFirst = storedFirst;
    this.#isOurs = isOurs;
  }

  /** Index of the next event. */
  get nextIndex(): number {
    return this.#tailStart + this.#entries.length;
  }

  /** Whether no event comes any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether it has ended without the run's end, which is told in the database. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** Whether what is in memory may be sent. Where it is not stored yet, another process may tell it otherwise. */
  get maySend(): boolean {
    return this.#storedFirst || (!this.#isCut && this.#isOurs());
  }

  /** Nothing more is sent of what is in memory alone. */
  cut(): void {
    this.#isCut = true;
    this.#wake();
  }

  /** An event in the form in which it would be added, without adding it. */
  entryOf(event: RunEventBody): LogEntry {
    const createdAt = Math.floor(Date.now() / 1000);
    const json = `{"created_at":${createdAt},${fieldsOf(event)}`;
    return { index: this.nextIndex, event: event.event, json };
  }

  /** Adds an event; readers get it in this turn of the event loop. */
  add(entry: LogEntry): void {
    this.#entries.push(entry);
    this.#tailBytes += entry.json.length;
    if (this.#tailBytes > tailLimit) this.#trim();
    if (!this.#storedFirst) this.#wake();
  }

  /** Notes that events are in the database, so that memory may let go of them. */
  stored(index: number): void {
    this.#storedIndex = index;
    if (this.#storedFirst) this.#wake();
  }

  /** How many events readers may see. */
  get length(): number {
    return this.#storedFirst ? Math.min(this.nextIndex, this.#storedIndex + 1) : this.nextIndex;
  }

  /** No event comes after this. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** No event comes after this here: the rest is told by another process. */
  leave(): void {
    this.#isLeft = true;
    this.end();
  }

  /** The events in memory after an index, or `undefined` where the first of them is no longer there. */
  after(index: number): readonly LogEntry[] | undefined {
    const from = index + 1 - this.#tailStart;
    if (from < 0) return undefined;
    return this.#entries.slice(from, this.length - this.#tailStart);
  }

  /** Resolves when something was added, or the log ended. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The event as an object. */
  toEvent(entry: LogEntry): RunEvent {
    return JSON.parse(this.toWire(entry)) as RunEvent;
  }

  #wake(): void {
    if (this.#wakeScheduled || this.#waiting.length === 0) return;
    this.#wakeScheduled = true;
    setImmediate(() => {
      this.#wakeScheduled = false;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const resolve of waiting) resolve();
    });
  }

  #trim(): void {
    let drop = 0;
    while (this.#tailBytes > tailLimit / 2 && this.#tailStart + drop <= this.#storedIndex) {
      this.#tailBytes -= this.#entries[drop]!.json.length;
      drop++;
    }
    this.#entries.splice(0, drop);
    this.#tailStart += drop;
  }
}
