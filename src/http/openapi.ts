import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { jsonResponse } from "./describe.ts";
import { describeAccess } from "./describe-access.ts";
import type { Served } from "./served.ts";

const json = z.record(z.string(), z.unknown());

const documentSchema = z
  .object({
    openapi: z.literal("3.1.0"),
    info: z.object({ title: z.string(), version: z.string(), description: z.string() }),
    servers: z.array(z.object({ url: z.string() })),
    paths: json,
    components: json,
    webhooks: json.optional(),
  })
  .openapi("OpenAPIDocument", {
    example: {
      openapi: "3.1.0",
      info: { title: "Acme", version: "1.0.0", description: "Agents of Acme." },
      servers: [{ url: "." }],
      paths: {},
      components: {},
    },
  });

/** The document of all routes that were made with a schema, custom ones too. */
export function openapiRoute(app: OpenAPIHono, served: Served): void {
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/openapi.json",
    operationId: "openapi",
    summary: "This description",
    tags: ["System"],
    responses: jsonResponse("The document.", documentSchema),
  });
  app.get("/openapi.json", (c) => {
    const base = c.req.path.slice(0, -"/openapi.json".length);
    const document = app.getOpenAPI31Document({
      openapi: "3.1.0",
      info: {
        title: served.name ?? "AgentOS",
        version: served.version,
        description: served.description ?? "Agents as a service: runs, streaming, sessions.",
      },
      // A host that mounts the app by its `fetch` does not tell it where: then it is where this document is.
      servers: [{ url: base === "" ? "." : base }],
    });
    return c.json(describeAccess(document, served));
  });
}
