import * as z from "zod";
import { ConfigurationError } from "./errors.ts";

/** What `LOG_LEVEL` may be. */
export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/** What the environment can set. Each is an option in code too, and an option in code wins. */
const schema = z.object({
  PORT: z
    .stringFormat("port", (text) => /^\d{1,5}$/.test(text) && Number(text) <= 65535, {
      error: "must be a whole number from 0 to 65535",
    })
    .transform(Number)
    .default(7777),
  HOST: z.string().min(1).default("127.0.0.1"),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(?:ql)?:\/\//, "must look like postgresql://user:password@host:5432/database")
    .optional(),
  AGENTOS_AGNO_COMPAT: z.stringbool({ error: "must be true or false" }).default(false),
  LOG_LEVEL: z.enum(logLevels, { error: `must be one of ${logLevels.join(", ")}` }).optional(),
});

/** The settings, checked. */
export interface Settings {
  port: number;
  host: string;
  databaseUrl: string | undefined;
  agnoCompat: boolean;
  logLevel: (typeof logLevels)[number] | undefined;
}

/**
 * Reads the settings that the environment holds. An empty one counts as not set.
 *
 * @throws {ConfigurationError} with one line for the first that makes no sense
 */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const name = String(issue.path[0]);
    // The value of a URL may hold a password.
    const value = name.endsWith("_URL") ? "" : ` is ${JSON.stringify(given[name])}:`;
    throw new ConfigurationError(`Setting ${name}${value} ${issue.message}.`);
  }
  return {
    port: parsed.data.PORT,
    host: parsed.data.HOST,
    databaseUrl: parsed.data.DATABASE_URL,
    agnoCompat: parsed.data.AGENTOS_AGNO_COMPAT,
    logLevel: parsed.data.LOG_LEVEL,
  };
}
