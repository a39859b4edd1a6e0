import { once } from "node:events";
import { Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import pg from "pg";
import { newId } from "../../events/ids.ts";

/** Milliseconds between two looks at whether the connection still lives. */
const checkInterval = 5_000;

/** Milliseconds that the database may take to answer. */
const answerTimeout = 5_000;

/** Longest pause between two tries to connect, in milliseconds. */
const longestPause = 5_000;

/** What a listener tells. */
export interface ListenerHooks {
  onPayload(payload: string): void;
  /** It listens, from now on. */
  onConnected(): void;
  /** It does not listen, or no longer. Called at each try. */
  onFailure(error: Error): void;
}

/** What the types of `pg` leave out: nobody's process should go on for a connection that only listens. */
type UnreferencedClient = pg.Client & { unref(): void };

/** Listens on a channel with a connection of its own, and connects again whenever that is lost. */
export class Listener {
  readonly #url: string;
  readonly #channel: string;
  readonly #hooks: ListenerHooks;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  /** @param url - of a direct connection: what PgBouncer shares out by transaction cannot listen */
  constructor(url: string, channel: string, hooks: ListenerHooks) {
    this.#url = url;
    this.#channel = channel;
    this.#hooks = hooks;
  }

  /** Connects, and stays connected. Called again, it does nothing. */
  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; failures++) {
      if (await this.#listen()) failures = 0;
      const pause = Math.min(longestPause, 50 * 2 ** failures);
      await wait(pause, undefined, { ref: false, signal }).catch(() => undefined);
    }
  }

  /** Listens until the connection is lost, or somebody stops it. Gives whether it came so far as to listen. */
  async #listen(): Promise<boolean> {
    // Ours, so that it can be cut without waiting for a database that says nothing.
    const socket = new Socket();
    const lost = Promise.withResolvers<never>();
    lost.promise.catch(() => undefined);
    const onStop = () => lost.reject(new Error("stopped"));
    this.#stop.signal.addEventListener("abort", onStop);
    let client: UnreferencedClient | undefined;
    let listens = false;
    try {
      client = new pg.Client({
        connectionString: this.#url,
        connectionTimeoutMillis: answerTimeout,
        query_timeout: answerTimeout,
        keepAlive: true,
        application_name: "agentos listener",
        stream: () => socket,
      }) as UnreferencedClient;
      client.on("error", lost.reject);
      client.on("end", () => lost.reject(new Error("The connection was closed.")));
      await Promise.race([client.connect(), lost.promise]);
      client.unref();
      const echo = this.#read(client);
      await Promise.race([client.query(`LISTEN ${client.escapeIdentifier(this.#channel)}`), lost.promise]);
      await Promise.race([echo(), lost.promise]);
      listens = true;
      this.#hooks.onConnected();
      while (true) {
        await Promise.race([wait(checkInterval, undefined, { ref: false }), lost.promise]);
        await Promise.race([client.query("SELECT 1"), lost.promise]);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.#hooks.onFailure(error instanceof Error ? error : new Error(String(error)));
      return listens;
    } finally {
      this.#stop.signal.removeEventListener("abort", onStop);
      await hangUp(client, socket);
    }
  }

  /** Hands on what comes. Gives a check that what is sent really comes. */
  #read(client: pg.Client): () => Promise<void> {
    const probe = `probe ${newId()}`;
    const echoed = Promise.withResolvers<void>();
    client.on("notification", ({ payload }) => {
      if (payload === probe) echoed.resolve();
      else if (payload !== undefined) this.#hooks.onPayload(payload);
    });
    return async () => {
      await client.query("SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)", [
        this.#channel,
        probe,
      ]);
      const silent = wait(answerTimeout, "silent", { ref: false });
      if ((await Promise.race([echoed.promise, silent])) === "silent") {
        throw new Error(
          "The connection listens, but nothing comes through it. Behind PgBouncer in transaction mode, give PostgresDb a " +
            "listenUrl that leads to PostgreSQL directly.",
        );
      }
    };
  }
}

/** Says good-bye where somebody listens, and cuts the connection in any case. */
async function hangUp(client: pg.Client | undefined, socket: Socket): Promise<void> {
  const closed = socket.closed || !client ? Promise.resolve() : once(socket, "close");
  client?.end().catch(() => undefined);
  await Promise.race([closed, wait(500, undefined, { ref: false })]).catch(() => undefined);
  socket.destroy();
}
