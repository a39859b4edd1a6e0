import * as z from "zod";
import { ConfigurationError } from "./errors.ts";

/** What `LOG_LEVEL` may be. */
export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/** Words with commas between. */
const list = (text: string) =>
  text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");

const postgresUrl = z
  .string()
  .regex(/^postgres(?:ql)?:\/\//, "must look like postgresql://user:password@host:5432/database");

const flag = z.stringbool({ error: "must be true or false" });

/** What the environment can set. Each is an option in code too, and an option in code wins. */
const schema = {
  PORT: z
    .stringFormat("port", (text) => /^\d{1,5}$/.test(text) && Number(text) <= 65535, {
      error: "must be a whole number from 0 to 65535",
    })
    .transform(Number)
    .default(7777),
  HOST: z.string().min(1).default("127.0.0.1"),
  DATABASE_URL: postgresUrl.optional(),
  AGENTOS_LISTEN_URL: postgresUrl.optional(),
  AGENTOS_WORKERS: z
    .stringFormat("workers", (text) => /^[1-9]\d{0,3}$/.test(text), {
      error: "must be a whole number of at least 1",
    })
    .transform(Number)
    .default(1),
  AGENTOS_AGNO_COMPAT: flag.default(false),
  AGENTOS_AUTHORIZATION: flag.default(false),
  AGENTOS_TRUSTED_PROXIES: z
    .stringFormat("proxies", (text) => /^\d{1,2}$/.test(text), {
      error: "must be the number of proxies before the server",
    })
    .transform(Number)
    .default(0),
  JWT_VERIFICATION_KEY: z.string().optional(),
  JWT_ALGORITHM: z.string().transform(list).optional(),
  JWT_JWKS_FILE: z.string().optional(),
  JWT_JWKS_URL: z
    .url({ protocol: /^https?$/, error: "must be a URL that begins with https:// or http://" })
    .optional(),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().transform(list).optional(),
  OS_SECURITY_KEY: z.string().regex(/^\S+$/, "must have no spaces").optional(),
  LOG_LEVEL: z.enum(logLevels, { error: `must be one of ${logLevels.join(", ")}` }).optional(),
} as const;

/** The settings by the name they have in the environment. */
type Settings = { [K in keyof typeof schema]: z.output<(typeof schema)[K]> };

/**
 * Reads one setting. An empty one counts as not set. It is read where it is needed and nothing in code says otherwise, so
 * that a wrong setting cannot spoil what does not use it.
 *
 * @throws {ConfigurationError} with one line, when it makes no sense
 */
export function readSetting<K extends keyof Settings>(name: K): Settings[K] {
  const text = process.env[name];
  const given = text === "" ? undefined : text;
  const parsed = schema[name].safeParse(given);
  if (parsed.success) return parsed.data as Settings[K];
  // The value of a URL may hold a password, and a key is a secret.
  const value = /_(?:URL|KEY)$/.test(name) ? "" : ` is ${JSON.stringify(given)}:`;
  throw new ConfigurationError(`Setting ${name}${value} ${parsed.error.issues[0]!.message}.`);
}
