import { setTimeout as wait } from "node:timers/promises";
import { framesOf } from "../read-events.ts";
import type { AnsweredRun } from "../runs.ts";
import type { ChaosNode } from "./node.ts";
import type { Random } from "./random.ts";

/** What a client was told of a run that it asked for. */
export interface AskedRun {
  /** Stands in its message: two runs with the same one were made of one request. */
  tag: string;
  background: boolean;
  runId: string;
  /** The answer to a request that was not streamed. */
  answer?: AnsweredRun;
  /** Whether its client asked for its end. */
  cancelled: boolean;
}

/** What a reader of a run was sent, through all its connections. */
export interface Reading {
  runId: string;
  background: boolean;
  /** The JSON of each event, by its index. */
  seen: string[];
  /** Name of the event that ended it. */
  end?: string;
}

const terminal: ReadonlySet<string> = new Set(["RunCompleted", "RunError", "RunCancelled"]);

/** Milliseconds without an event after which a reader comes back elsewhere: its server may be frozen. */
const patience = 4_000;

/** Clients that ask for runs of all kinds, on any of the nodes, and remember what they were told. */
export class Load {
  readonly asked: AskedRun[] = [];
  readonly readings: Reading[] = [];
  /** What no client may ever see. */
  readonly violations: string[] = [];
  /** Answers by their status, for the report. */
  readonly statuses = new Map<number, number>();
  readonly #nodes: readonly ChaosNode[];
  readonly #random: Random;
  readonly #sessions: readonly string[];
  readonly #clients: Promise<void>[] = [];
  readonly #readers: Promise<void>[] = [];
  #stopped = false;
  #abandoned = false;
  #count = 0;

  constructor(nodes: readonly ChaosNode[], random: Random) {
    this.#nodes = nodes;
    this.#random = random;
    this.#sessions = Array.from({ length: 6 }, (_, i) => `session-${i}`);
  }

  start(clients: number): void {
    for (let i = 0; i < clients; i++) this.#clients.push(this.#client(this.#random.fork()));
  }

  /** Asks for nothing more, and waits until every client has what it asked for. @returns what is still open */
  async finish(limit: number): Promise<string[]> {
    this.#stopped = true;
    const done = Promise.all(this.#clients).then(() => Promise.all(this.#readers));
    const late = await Promise.race([done.then(() => false), wait(limit, true, { ref: false })]);
    const open = this.readings.filter(({ end }) => end === undefined).map(({ runId }) => runId);
    this.#abandoned = true;
    if (late) await Promise.race([done, wait(2 * patience, undefined, { ref: false })]);
    return late ? open : [];
  }

  async #client(random: Random): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#one(random);
      } catch (error) {
        if (!this.#abandoned) this.violations.push(`a client failed: ${(error as Error).stack}`);
        return;
      }
    }
  }

  async #one(random: Random): Promise<void> {
    const background = random.chance(0.6);
    const stream = random.chance(0.5);
    const tag = `tag-${this.#count++}`;
    const tools = Array.from(
      { length: random.between(0, 3) },
      // Which version of the agent has which tool is the model's bad luck, not the run's.
      () =>
        random.chance(0.8)
          ? `[[tool=effect {"ms":${random.between(0, 60)}}]]`
          : `[[tool=${random.pick(["old", "fresh"])} {}]]`,
    );
    const message = `${tag} ${tools.join(" ")} [[tokens=${random.between(5, 60)}]] [[delay=${random.between(1, 15)}]]`;
    const session = random.chance(0.5)
      ? { session_id: `${background ? "b" : "f"}-${random.pick(this.#sessions)}` }
      : {};
    const body = { message, background, stream, ...session };
    const wantsCancel = random.chance(0.15);
    if (!stream && !background) return this.#whole(tag, body, random);
    const run = await this.#accepted(tag, body, random);
    if (!run) return;
    const work: Promise<void>[] = [];
    if (wantsCancel) work.push(this.#cancel(run, random));
    // In background a second reader may come at any time, and see the same.
    if (background && random.chance(0.3)) work.push(this.#read(run.runId, true, random, undefined));
    if (!stream) work.push(this.#read(run.runId, background, random, undefined));
    if (random.chance(0.5)) await Promise.all(work);
    else this.#readers.push(...work);
  }

  /** A run in foreground, answered as a whole. */
  async #whole(tag: string, body: object, random: Random): Promise<void> {
    const { status, text } = await this.#post(tag, body, random);
    // The server that did it stopped, or was lost: the run has ended, and says so.
    if (status === 409 || status === 500)
      return void this.violations.push(`${tag} was answered ${status}: ${text}`);
    const answer = JSON.parse(text) as AnsweredRun;
    this.asked.push({ tag, background: false, runId: answer.run_id, answer, cancelled: false });
  }

  /** A run of which only the acceptance is waited for, or whose events are read as they come. */
  async #accepted(
    tag: string,
    body: { background: boolean; stream: boolean },
    random: Random,
  ): Promise<AskedRun | undefined> {
    const run: AskedRun = { tag, background: body.background, runId: "", cancelled: false };
    if (!body.stream) {
      const { text } = await this.#post(tag, body, random);
      run.runId = (JSON.parse(text) as AnsweredRun).run_id;
      this.asked.push(run);
      return run;
    }
    const reading: Reading = { runId: "", background: body.background, seen: [] };
    while (reading.runId === "" && !this.#abandoned) {
      const response = await this.#ask(random, (url, signal) =>
        fetch(`${url}/agents/copilot/runs`, {
          method: "POST",
          headers: { "content-type": "application/json", "idempotency-key": tag },
          body: JSON.stringify(body),
          signal,
        }),
      );
      if (!response) continue;
      if (response.status !== 200) {
        this.#unexpected(tag, response.status, await response.text());
        return undefined;
      }
      await this.#take(response, reading, () => {
        if (run.runId !== "") return;
        run.runId = reading.runId;
        this.asked.push(run);
        this.readings.push(reading);
      });
    }
    if (reading.runId === "") return undefined;
    this.#readers.push(this.#read(run.runId, body.background, random, reading));
    return run;
  }

  /** Follows a run to its end, on any node, coming back whenever the stream breaks. */
  async #read(runId: string, background: boolean, random: Random, begun: Reading | undefined): Promise<void> {
    const reading = begun ?? { runId, background, seen: [] };
    if (!begun) this.readings.push(reading);
    while (reading.end === undefined && !this.#abandoned) {
      const cursor = reading.seen.length - 1;
      const response = await this.#ask(random, (url, signal) =>
        fetch(`${url}/agents/copilot/runs/${runId}/resume`, {
          headers: { "last-event-id": String(cursor) },
          signal,
        }),
      );
      if (!response) continue;
      if (response.status === 204) {
        // It says that the run is over, to a reader that has as many events as there are.
        const last = reading.seen.at(-1);
        const name = last === undefined ? "nothing" : (JSON.parse(last) as { event: string }).event;
        if (terminal.has(name)) {
          reading.end = name;
        } else if (background) {
          this.violations.push(`${runId}: 204 to a reader whose last event is ${name}`);
          return;
        } else {
          // Of a foreground run it may have been sent one that was not stored when its server was lost. The end is there.
          const again = await this.#ask(random, (url, signal) =>
            fetch(`${url}/agents/copilot/runs/${runId}/resume?last_event_index=${cursor}`, {
              method: "POST",
              signal,
            }),
          );
          if (again?.status === 200) await this.#take(again, reading);
        }
      } else if (response.status === 200) {
        await this.#take(response, reading);
        await wait(random.between(0, 200));
      } else {
        this.#unexpected(runId, response.status, await response.text());
        return;
      }
    }
  }

  /** Reads one connection to its end, or for as long as something comes. */
  async #take(response: Response, reading: Reading, onFirst?: () => void): Promise<void> {
    const decoder = new TextDecoder();
    const reader = response.body!.getReader();
    let rest = "";
    try {
      while (true) {
        const part = await Promise.race([reader.read(), wait(patience, undefined, { ref: false })]);
        if (!part || part.done) break;
        const blocks = (rest + decoder.decode(part.value, { stream: true })).split("\n\n");
        rest = blocks.pop()!;
        for (const { id, event, data } of framesOf(`${blocks.join("\n\n")}\n\n`)) {
          if (id === "") continue;
          reading.runId ||= data.run_id;
          onFirst?.();
          this.#see(reading, Number(id), event, JSON.stringify(data));
        }
        if (reading.end !== undefined) break;
      }
    } catch {
      // The connection broke: the reader comes back.
    }
    reader.cancel().catch(() => undefined);
  }

  #see(reading: Reading, index: number, event: string, json: string): void {
    const isTerminal = terminal.has(event);
    // A run whose server was lost ended before what its reader was sent: that it ended is told all the same.
    const isCut =
      !reading.background && isTerminal && event !== "RunCompleted" && index < reading.seen.length;
    if (!isCut) {
      if (index !== reading.seen.length) {
        this.violations.push(
          `${reading.runId}: a reader of ${reading.seen.length} events was sent number ${index}`,
        );
      }
      reading.seen[index] = json;
    }
    if (isTerminal) reading.end = event;
  }

  async #cancel(run: AskedRun, random: Random): Promise<void> {
    await wait(random.between(0, 500));
    run.cancelled = true;
    for (let done = false; !done && !this.#abandoned; ) {
      const response = await this.#ask(random, (url, signal) =>
        fetch(`${url}/agents/copilot/runs/${run.runId}/cancel`, { method: "POST", signal }),
      );
      if (!response) continue;
      const text = await response.text().catch(() => undefined);
      done = text !== undefined;
      if (response.status !== 200) this.#unexpected(`cancel of ${run.runId}`, response.status, text ?? "");
    }
  }

  /** Sends a request until it is answered, always with the same key. */
  async #post(tag: string, body: object, random: Random): Promise<{ status: number; text: string }> {
    while (true) {
      if (this.#abandoned) throw new Error("abandoned");
      const response = await this.#ask(random, (url, signal) =>
        fetch(`${url}/agents/copilot/runs`, {
          method: "POST",
          headers: { "content-type": "application/json", "idempotency-key": tag },
          body: JSON.stringify(body),
          signal,
        }),
      );
      const text = await response?.text().catch(() => undefined);
      if (!response || text === undefined) continue;
      if (response.status >= 300) this.#unexpected(tag, response.status, text);
      return { status: response.status, text };
    }
  }

  /** Asks a node that is there. Nothing where it cannot be reached or is busy: then it is asked again, a moment later. */
  async #ask(
    random: Random,
    request: (url: string, signal: AbortSignal) => Promise<Response>,
  ): Promise<Response | undefined> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), 4 * patience);
    try {
      const response = await request(random.pick(this.#nodes).url, limit.signal);
      this.statuses.set(response.status, (this.statuses.get(response.status) ?? 0) + 1);
      if (![408, 429, 503].includes(response.status)) return response;
      // 408: a server that was frozen took a request for one that never came. It has done nothing about it.
      if (response.status !== 408 && !response.headers.has("retry-after"))
        this.violations.push(`${response.status} without Retry-After`);
      await response.text();
    } catch {
      // Refused, cut or silent.
    } finally {
      clearTimeout(timer);
    }
    await wait(random.between(50, 300));
    return undefined;
  }

  #unexpected(what: string, status: number, text: string): void {
    this.violations.push(`${what} was answered ${status}: ${text.slice(0, 500)}`);
  }
}
