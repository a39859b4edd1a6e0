import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { NotFoundError } from "../../errors.ts";
import { jsonResponse } from "../describe.ts";
import { identifier, optionalIdentifier } from "../identifiers.ts";
import { looseFields } from "../loose-fields.ts";
import { agentOf, type Served, storeOf } from "../served.ts";

const cancel = createRoute({
  method: "post",
  path: "/agents/{agent_id}/runs/{run_id}/cancel",
  operationId: "cancel_run",
  summary: "Cancel a run",
  description:
    "The model call and the tools are told to stop at once. What was said so far is kept, and the session goes on. " +
    "A run that has ended stays as it is.",
  tags: ["Runs"],
  request: {
    params: z.object({ agent_id: identifier.openapi({ example: "copilot" }), run_id: identifier }),
    query: z.object({ session_id: z.string().optional(), user_id: z.string().optional() }),
  },
  responses: jsonResponse("The run is cancelled, or had ended before.", z.object({}), 404, 422, 503),
});

const fields = z.strictObject({ session_id: optionalIdentifier, user_id: optionalIdentifier });

/** Cancelling a run. */
export function cancelRoute(app: OpenAPIHono, served: Served): void {
  app.openapi(cancel, async (c): Promise<Response> => {
    const { agent_id, run_id } = c.req.valid("param");
    const { session_id, user_id } = await looseFields(c, fields, served.limits);
    const agent = agentOf(served, agent_id);
    const store = await storeOf(served, c);
    const found = await store.runs.get({
      runId: run_id,
      agentId: agent.id,
      ...(session_id !== undefined && { sessionId: session_id }),
      ...(user_id !== undefined && { userId: user_id }),
    });
    if (!found) throw new NotFoundError("Run not found");
    await served.runner.cancel(run_id);
    return c.json({});
  });
}
