import { z } from "@hono/zod-openapi";

/** The shapes of what the server tells of itself, for the OpenAPI document. */

/** What stands at `/`. */
export const homeSchema = z
  .object({
    name: z.string(),
    id: z.string(),
    description: z.string().nullable(),
    docs: z.string().openapi({ description: "Where the live page is, seen from here; the others too." }),
    openapi: z.string(),
    health: z.string(),
  })
  .openapi("Home", {
    example: {
      name: "Acme",
      id: "acme",
      description: null,
      docs: "docs",
      openapi: "openapi.json",
      health: "health",
    },
  });

/** The server in numbers. */
export const infoSchema = z
  .object({
    os_id: z.string(),
    name: z.string().nullable(),
    os_version: z.string(),
    agent_count: z.int(),
    team_count: z.int(),
    workflow_count: z.int(),
    mcp: z.object({
      enabled: z.boolean(),
      path: z.string().nullable(),
      oauth: z.null(),
      tool_run_endpoint: z.boolean(),
    }),
    auth_mode: z.enum(["none", "jwt", "security_key"]),
    user_isolation: z.boolean(),
  })
  .openapi("Info", {
    example: {
      os_id: "acme",
      name: "Acme",
      os_version: "1.0.0",
      agent_count: 1,
      team_count: 0,
      workflow_count: 0,
      mcp: { enabled: false, path: null, oauth: null, tool_run_endpoint: false },
      auth_mode: "none",
      user_isolation: false,
    },
  });

const model = z.object({ id: z.string(), provider: z.string() });

const domain = z
  .object({
    dbs: z.array(
      z.object({
        db_id: z.string(),
        domain_config: z.object({ display_name: z.string() }),
        tables: z.array(z.string()),
      }),
    ),
  })
  .openapi("ConfigDomain", { description: "Where something is stored." });

const domainExample = (table: string) => ({
  dbs: [{ db_id: "sqlite", domain_config: { display_name: "sqlite" }, tables: [table] }],
});

/** What is set up. */
export const configSchema = z
  .object({
    os_id: z.string(),
    available_models: z.array(model),
    databases: z.array(z.string()),
    session: domain,
    metrics: domain,
    memory: domain,
    traces: domain,
    agents: z.array(z.object({ id: z.string(), name: z.string().optional(), db_id: z.string(), model })),
    teams: z.array(z.unknown()).max(0),
    workflows: z.array(z.unknown()).max(0),
    interfaces: z.array(z.unknown()).max(0),
  })
  .openapi("Config", {
    example: {
      os_id: "acme",
      available_models: [{ id: "gpt-5.5", provider: "OpenAI" }],
      databases: ["sqlite"],
      session: domainExample("sessions"),
      metrics: domainExample("runs"),
      memory: domainExample("memories"),
      traces: domainExample("traces"),
      agents: [{ id: "copilot", db_id: "sqlite", model: { id: "gpt-5.5", provider: "OpenAI" } }],
      teams: [],
      workflows: [],
      interfaces: [],
    },
  });
