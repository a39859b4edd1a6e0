import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Served } from "./served.ts";

/** The document of all routes that were made with a schema, custom ones too. */
export function openapiRoute(app: OpenAPIHono, served: Served): void {
  app.get("/openapi.json", (c) => {
    const base = c.req.path.slice(0, -"/openapi.json".length);
    return c.json(
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: {
          title: served.name ?? "AgentOS",
          version: served.version,
          description: served.description ?? "Agents as a service: runs, streaming, sessions.",
        },
        // A host that mounts the app by its `fetch` does not tell it where: then it is where this document is.
        servers: [{ url: base === "" ? "." : base }],
      }),
    );
  });
}
