import type { Database } from "./db/database.ts";
import { PostgresDb } from "./db/postgres/postgres-db.ts";
import { SqliteDb } from "./db/sqlite/sqlite-db.ts";
import { EchoModel } from "./models/echo.ts";
import type { Model } from "./models/model.ts";
import { OpenAIResponses } from "./models/openai-responses.ts";
import { readSetting } from "./settings.ts";

/**
 * The database that the settings name: PostgreSQL where `DATABASE_URL` is set, else the SQLite file at
 * `AGENTOS_SQLITE_PATH`.
 *
 * @throws {ConfigurationError} when a setting makes no sense
 */
export function databaseFromEnvironment(): Database {
  const databaseUrl = readSetting("DATABASE_URL");
  if (databaseUrl === undefined) return new SqliteDb();
  const listenUrl = readSetting("AGENTOS_LISTEN_URL");
  return new PostgresDb({ url: databaseUrl, ...(listenUrl !== undefined && { listenUrl }) });
}

/**
 * The model that the settings name: `OPENAI_MODEL` of OpenAI where `OPENAI_API_KEY` is set, else one that answers offline
 * and says so.
 *
 * @throws {ConfigurationError} when a setting makes no sense
 */
export function modelFromEnvironment(): Model {
  return process.env["OPENAI_API_KEY"] ? new OpenAIResponses() : new EchoModel();
}
