import { pino } from "pino";
import { BaseAgent } from "./agent/agent.ts";
import type { Runner } from "./agent/runner.ts";
import type { Database } from "./db/database.ts";
import { inMemory } from "./db/sqlite/connection.ts";
import { SqliteDb } from "./db/sqlite/sqlite-db.ts";
import type { JsonObject } from "./events/json.ts";
import { DurableRunner } from "./runs/runner.ts";
import { readSetting } from "./settings.ts";
import { Telemetry } from "./telemetry/telemetry.ts";

/** Agents that share a database and are served by no AgentOS share its runner too. */
const runners = new WeakMap<Database, Runner>();

/**
 * An agent: a model with instructions and tools. Hand it to an `AgentOS` to serve it, or call it from anywhere.
 *
 * @typeParam TOutput - the type of its answers; inferred from `outputSchema`, `string` without one
 * @typeParam TState - the type of its sessions' state; inferred from `sessionState`
 * @typeParam TDependencies - the type of what its callers hand in for a run
 * @example
 * const copilot = new Agent({ id: "copilot", model: new OpenAIResponses({ id: "gpt-5.5" }), db });
 * const { content } = await copilot.run("Hello", { userId: "sarah@acme.com" });
 */
export class Agent<
  TOutput = string,
  TState extends JsonObject = JsonObject,
  TDependencies extends JsonObject = JsonObject,
> extends BaseAgent<TOutput, TState, TDependencies> {
  protected override ownRunner(): Runner {
    const db = this.db ?? new SqliteDb({ path: inMemory });
    let runner = runners.get(db);
    if (!runner) {
      // A program that calls an agent has its own things to print: of runs that end well it is told nothing.
      const level = readSetting("LOG_LEVEL") ?? "warn";
      const logger = pino({ name: "agentos", level });
      // Nobody can look into a database in memory of its own.
      const stored = this.db !== undefined;
      const telemetry = new Telemetry({ db, stored, logger, traces: {}, prices: {} });
      runner = new DurableRunner({ db, logger, telemetry });
      runners.set(db, runner);
    }
    return runner;
  }
}
