import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AgentDefinition } from "../../agent/definition.ts";
import { memoryToolDefinition } from "../../agent/memory/tool.ts";
import type { Tool } from "../../agent/tool.ts";
import type { JsonObject } from "../../events/json.ts";
import { accessOf } from "../auth/caller.ts";
import { jsonResponse } from "../describe.ts";
import { identifier } from "../identifiers.ts";
import { agentSchema } from "../schemas.ts";
import { agentOf, type Served } from "../served.ts";

const listAgents = createRoute({
  method: "get",
  path: "/agents",
  operationId: "list_agents",
  summary: "List the agents",
  tags: ["Agents"],
  responses: jsonResponse("The agents that this server runs.", z.array(agentSchema)),
});

const getAgent = createRoute({
  method: "get",
  path: "/agents/{agent_id}",
  operationId: "get_agent",
  summary: "Get an agent",
  tags: ["Agents"],
  request: { params: z.object({ agent_id: identifier.openapi({ example: "copilot" }) }) },
  responses: jsonResponse("The agent.", agentSchema, 404, 422),
});

/** What the server runs. Teams and workflows are none; clients of the original ask for them all the same. */
export function agentRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(
    listAgents,
    (c): Response =>
      c.json(
        [...served.agents.values()]
          .filter(({ id }) => accessOf(c).caller.grants.has("agents:read", id))
          .map((agent) => presentAgent(agent, served)),
      ),
  );
  app.openapi(
    getAgent,
    (c): Response => c.json(presentAgent(agentOf(served, c.req.valid("param").agent_id), served)),
  );
  for (const kind of ["teams", "workflows"]) {
    const list = createRoute({
      method: "get",
      path: `/${kind}`,
      operationId: `list_${kind}`,
      summary: `List the ${kind}: there are none`,
      tags: ["Agents"],
      responses: jsonResponse("An empty list.", z.array(z.unknown()).max(0).openapi({ example: [] })),
    });
    app.openapi(list, (c): Response => c.json([]));
  }
}

function presentAgent(agent: AgentDefinition, { db }: Served): JsonObject {
  const { model, memory } = agent;
  const shownModel = { name: model.name, model: model.id, provider: model.provider };
  return {
    id: agent.id,
    ...(agent.name === undefined ? {} : { name: agent.name }),
    ...(agent.description === undefined ? {} : { description: agent.description }),
    db_id: db.id,
    model: shownModel,
    tools: {
      tools: [...agent.tools.map(presentTool), ...(memory?.agentic ? [memoryToolDefinition()] : [])],
    },
    sessions: { session_table: "sessions", add_history_to_context: agent.addHistoryToContext },
    ...(memory && {
      memory: {
        enable_agentic_memory: memory.agentic,
        update_memory_on_run: !memory.agentic,
        model: shownModel,
      },
    }),
  };
}

/** A tool as the model is told of it, and what it needs people for. */
function presentTool(tool: Tool): JsonObject {
  return {
    ...tool.definition,
    ...(tool.requiresConfirmation && { requires_confirmation: true }),
    ...(tool.requiresUserInput.length > 0 && { requires_user_input: true }),
    ...(tool.externalExecution && { external_execution: true }),
  };
}
