import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import pg from "pg";
import { type MockModel, startMockModel } from "../mock-model.ts";
import { type PostgresServer, startPostgres } from "../postgres.ts";
import { proxyOf } from "../tcp-proxy.ts";
import type { EffectLine, StoredRow, StoredStretch } from "./checks.ts";
import { ChaosNode } from "./node.ts";

/** Servers on one database, a stand-in for the model, and what looks at what they store. */
export class Cluster {
  readonly nodes: readonly ChaosNode[];
  /** Of its own, so that it can be restarted; undefined on SQLite. */
  readonly postgres: PostgresServer | undefined;
  /** URL of the database, or the file's path. */
  readonly location: string;
  readonly #model: MockModel;
  readonly #folder: string;

  private constructor(parts: {
    nodes: readonly ChaosNode[];
    postgres: PostgresServer | undefined;
    location: string;
    model: MockModel;
    folder: string;
  }) {
    this.nodes = parts.nodes;
    this.postgres = parts.postgres;
    this.location = parts.location;
    this.#model = parts.model;
    this.#folder = parts.folder;
  }

  /**
   * Makes it, without starting its nodes.
   *
   * @param options - `nodes`: how many, 1 on SQLite; `lease` in milliseconds
   */
  static async create(
    engine: "sqlite" | "postgres",
    { nodes: count, lease }: { nodes: number; lease: number },
  ): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), "agentos-chaos-"));
    const record = join(folder, "effects.jsonl");
    await writeFile(record, "");
    const model = await startMockModel();
    const environment = { CHAOS_RECORD: record, OPENAI_BASE_URL: model.url, TEST_LEASE: String(lease) };
    if (engine === "sqlite") {
      const location = join(folder, "agentos.db");
      const node = await ChaosNode.create("node 1", {
        ...environment,
        AGENTOS_SQLITE_PATH: location,
        DATABASE_URL: "",
      });
      return new Cluster({ nodes: [node], postgres: undefined, location, model, folder });
    }
    const postgres = await startPostgres();
    const location = await postgres.createDatabase("chaos");
    const nodes = await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const { proxy, url } = await proxyOf(location);
        return ChaosNode.create(`node ${i + 1}`, { ...environment, DATABASE_URL: url }, proxy);
      }),
    );
    return new Cluster({ nodes, postgres, location, model, folder });
  }

  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()));
  }

  /** Waits until no run is under way. @returns those that still are when the time is over */
  async settled(limit: number): Promise<StoredRow[]> {
    const until = performance.now() + limit;
    while (true) {
      const open = (await this.rows<StoredRow>(
        "SELECT * FROM runs WHERE status IN ('pending', 'running')",
      )) as StoredRow[];
      if (open.length === 0 || performance.now() > until) return open;
      await wait(200);
    }
  }

  /** Everything that is stored. */
  async stored(): Promise<{ rows: StoredRow[]; stretches: StoredStretch[] }> {
    return {
      rows: await this.rows<StoredRow>("SELECT * FROM runs"),
      stretches: await this.rows<StoredStretch>("SELECT * FROM run_events"),
    };
  }

  /** What a query finds. */
  async rows<T>(query: string): Promise<T[]> {
    if (!this.postgres) {
      const db = new DatabaseSync(this.location, { readOnly: true, timeout: 5_000 });
      try {
        return db.prepare(query).all() as T[];
      } finally {
        db.close();
      }
    }
    const client = new pg.Client({
      connectionString: this.location,
      options: "-c search_path=agentos",
      types: { getTypeParser: typeParser as typeof pg.types.getTypeParser },
    });
    await client.connect();
    try {
      return (await client.query(query)).rows as T[];
    } finally {
      await client.end();
    }
  }

  /** What the tools of all nodes did so far. */
  async effects(): Promise<EffectLine[]> {
    const text = await readFile(join(this.#folder, "effects.jsonl"), "utf8");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as EffectLine);
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await Promise.all(this.nodes.map((node) => node.proxy?.close()));
    await this.#model.close();
    await this.postgres?.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function typeParser(oid: number, format?: "text" | "binary") {
  return oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as "text");
}
