import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { LeaseLostError, UnavailableError } from "../../errors.ts";
import { jsonResponse } from "../describe.ts";
import { maySee, type Served } from "../served.ts";
import { configSchema, homeSchema, infoSchema } from "../system-schemas.ts";

const home = createRoute({
  method: "get",
  path: "/",
  operationId: "home",
  summary: "What this server is, and where to go on",
  tags: ["System"],
  responses: jsonResponse("Name and pointers.", homeSchema),
});

const health = createRoute({
  method: "get",
  path: "/health",
  operationId: "health",
  summary: "Whether the process is alive",
  description:
    "With `ready=true` also whether it takes runs: for load balancers, which may ask nothing else.",
  tags: ["System"],
  request: { query: z.object({ ready: z.stringbool().optional().openapi({ type: "boolean" }) }) },
  responses: jsonResponse(
    "It is.",
    z
      .object({ status: z.literal("ok"), instantiated_at: z.string().openapi({ format: "date-time" }) })
      .openapi({ example: { status: "ok", instantiated_at: "2026-11-24T05:07:46.120Z" } }),
    422,
    503,
  ),
});

const ready = createRoute({
  method: "get",
  path: "/readyz",
  operationId: "ready",
  summary: "Whether the server takes runs",
  tags: ["System"],
  responses: jsonResponse(
    "It does: its database answers.",
    z.object({ status: z.literal("ready") }).openapi({ example: { status: "ready" } }),
    503,
  ),
});

const info = createRoute({
  method: "get",
  path: "/info",
  operationId: "info",
  summary: "Versions and counts",
  tags: ["System"],
  responses: jsonResponse("The server in numbers.", infoSchema),
});

const config = createRoute({
  method: "get",
  path: "/config",
  operationId: "config",
  summary: "Agents, models and databases",
  tags: ["System"],
  responses: jsonResponse("What is set up.", configSchema),
});

/** Liveness, readiness, and what is set up here. */
export function systemRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(
    home,
    (c): Response =>
      c.json({
        name: served.name ?? "AgentOS",
        id: served.id,
        description: served.description ?? null,
        docs: "docs",
        openapi: "openapi.json",
        health: "health",
      }),
  );

  app.openapi(health, async (c): Promise<Response> => {
    if (c.req.valid("query").ready === true) await refuseUnlessReady(served);
    return c.json({ status: "ok", instantiated_at: served.startedAt.toISOString() });
  });

  app.openapi(ready, async (c): Promise<Response> => {
    await refuseUnlessReady(served);
    return c.json({ status: "ready" });
  });

  app.openapi(
    info,
    (c): Response =>
      c.json({
        os_id: served.id,
        name: served.name ?? null,
        os_version: served.version,
        agent_count: served.agents.size,
        team_count: 0,
        workflow_count: 0,
        mcp: { enabled: false, path: null, oauth: null, tool_run_endpoint: false },
        auth_mode: served.auth?.mode ?? "none",
        user_isolation: served.auth?.userIsolation ?? false,
      }),
  );

  app.openapi(config, (c): Response => c.json(presentConfig(served, (id) => maySee(c, id))));
}

async function refuseUnlessReady(served: Served): Promise<void> {
  if (served.stopping()) throw new UnavailableError("The server is stopping.");
  await served.db.open();
  await served.db.ping();
  if (!served.runner.isHeld) throw new LeaseLostError();
}

/** Agents are told as far as the caller may see them. */
function presentConfig({ id, agents: all, db }: Served, isSeen: (agentId: string) => boolean) {
  const agents = new Map([...all].filter(([agentId]) => isSeen(agentId)));
  const models = new Map(
    [...agents.values()].map(({ model }) => [
      `${model.provider}/${model.id}`,
      { id: model.id, provider: model.provider },
    ]),
  );
  const domain = (...tables: string[]) => ({
    dbs: [{ db_id: db.id, domain_config: { display_name: db.id }, tables }],
  });
  return {
    os_id: id,
    available_models: [...models.values()],
    databases: [db.id],
    session: domain("sessions"),
    metrics: domain("runs"),
    memory: domain("memories"),
    traces: domain("traces"),
    agents: [...agents.values()].map((agent) => ({
      id: agent.id,
      ...(agent.name === undefined ? {} : { name: agent.name }),
      db_id: db.id,
      model: { id: agent.model.id, provider: agent.model.provider },
    })),
    teams: [],
    workflows: [],
    interfaces: [],
  };
}
