import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { jsonResponse } from "../describe.ts";
import { optionalIdentifier } from "../identifiers.ts";
import { looseFields } from "../loose-fields.ts";
import { runOf, runPath } from "../run-lookup.ts";
import type { Served } from "../served.ts";

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
    params: runPath,
    query: z.object({ session_id: z.string().optional(), user_id: z.string().optional() }),
  },
  responses: jsonResponse(
    "The run is cancelled, or had ended before.",
    z.strictObject({}).openapi({ example: {} }),
    404,
    413,
    415,
    422,
    503,
  ),
});

const fields = z.strictObject({ session_id: optionalIdentifier, user_id: optionalIdentifier });

/** Cancelling a run. */
export function cancelRoute(app: OpenAPIHono, served: Served): void {
  app.openapi(cancel, async (c): Promise<Response> => {
    const { agent_id, run_id } = c.req.valid("param");
    const { session_id, user_id } = await looseFields(c, fields, served.limits);
    await runOf(served, c, { agent_id, run_id, session_id, user_id });
    await served.runner.cancel(run_id);
    return c.json({});
  });
}
