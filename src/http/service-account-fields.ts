import { z } from "@hono/zod-openapi";
import type { ServiceAccount } from "../db/stores/service-accounts.ts";

/** Days that an account's token is good for where nothing else is asked for. */
const defaultDays = 90;

/** Scopes that a token has where nothing else is asked for: to run agents, and to look at what came of it. */
const defaultScopes = ["agents:run", "sessions:read", "config:read"];

const scope = z.union([
  z.string().min(1).max(255),
  // As the original has them.
  z
    .strictObject({ scope: z.string().min(1).max(255), effect: z.literal("allow").optional() })
    .transform((given) => given.scope),
]);

/** What makes an account. */
export const newServiceAccountBody = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "Lower-case letters, digits and -, at most 63")
      .openapi({ example: "nightly-report" }),
    scopes: z.array(scope).max(100).default(defaultScopes).openapi({
      description: "No wider than those of whoever makes it.",
      example: defaultScopes,
    }),
    expires_in_days: z.int().min(1).max(3650).default(defaultDays),
    never_expires: z.boolean().default(false),
    allow_privileged_scopes: z.boolean().default(false).openapi({
      description: "Must be true for scopes that write, delete, administrate, impersonate, or make accounts.",
    }),
  })
  .openapi("NewServiceAccount", { example: { name: "nightly-report", scopes: ["agents:run"] } });

const time = z.string().openapi({ format: "date-time" });

/** An account as it is answered. */
export const serviceAccountSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    user_id: z.string().openapi({ description: "The user that its data belongs to." }),
    token_prefix: z.string(),
    scopes: z.array(z.string()),
    created_by: z.string().nullable(),
    created_at: time,
    expires_at: time.nullable(),
    revoked_at: time.nullable(),
    last_used_at: time.nullable().openapi({ description: "Within a minute." }),
  })
  .openapi("ServiceAccount", {
    example: {
      id: "9f2c4be01d3a5577c0aa11ff",
      name: "nightly-report",
      user_id: "sa:nightly-report",
      token_prefix: "agentos_sa_9f2c4be0",
      scopes: ["agents:run"],
      created_by: "sarah@acme.com",
      created_at: "2026-11-24T05:07:46.120Z",
      expires_at: "2027-02-22T05:07:46.120Z",
      revoked_at: null,
      last_used_at: null,
    },
  });

/** An account with its token, which is told this once. */
export const mintedAccountSchema = serviceAccountSchema
  .extend({ token: z.string().openapi({ description: "Told now, and never again." }) })
  .openapi("MintedServiceAccount", {
    example: {
      id: "9f2c4be01d3a5577c0aa11ff",
      name: "nightly-report",
      user_id: "sa:nightly-report",
      token: "agentos_sa_9f2c4be01d3a5577c0aa11ff_…",
      token_prefix: "agentos_sa_9f2c4be0",
      scopes: ["agents:run"],
      created_by: "sarah@acme.com",
      created_at: "2026-11-24T05:07:46.120Z",
      expires_at: "2027-02-22T05:07:46.120Z",
      revoked_at: null,
      last_used_at: null,
    },
  });

/** An account as it is answered: without anything that its token could be made of. */
export function presentServiceAccount(account: ServiceAccount) {
  const at = (milliseconds: number | undefined) =>
    milliseconds === undefined ? null : new Date(milliseconds).toISOString();
  return {
    id: account.accountId,
    name: account.name,
    user_id: `sa:${account.name}`,
    token_prefix: account.tokenPrefix,
    scopes: account.scopes,
    created_by: account.createdBy ?? null,
    created_at: at(account.createdAt),
    expires_at: at(account.expiresAt),
    revoked_at: at(account.revokedAt),
    last_used_at: at(account.lastUsedAt),
  };
}
