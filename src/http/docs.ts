import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Served } from "./served.ts";

/** What the page is made of. It comes from this package, so that it works without internet. */
const assets = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
} as const;

/** The live page: every route, with a form to try it. */
export function docsRoutes(app: OpenAPIHono, served: Served): void {
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/docs",
    operationId: "docs",
    summary: "This description as a live page",
    tags: ["System"],
    responses: {
      200: {
        description: "The page.",
        content: { "text/html": { schema: z.string().openapi({ example: "<!doctype html>…" }) } },
      },
    },
  });
  app.get("/docs", (c) => {
    // Relative links work wherever the app is mounted, as long as they count from the same folder.
    const base = c.req.path.endsWith("/") ? ".." : ".";
    return c.html(page(served.name ?? "AgentOS", base), 200, {
      "content-security-policy":
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
    });
  });
  for (const [name, type] of Object.entries(assets)) {
    app.get(`/docs/${name}`, async (c) =>
      c.body(await asset(name), 200, { "content-type": type, "cache-control": "public, max-age=86400" }),
    );
  }
}

function page(title: string, base: string): string {
  const safe = title.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${safe} API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${base}/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="${base}/docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({ url: "${base}/openapi.json", dom_id: "#docs", deepLinking: true, tryItOutEnabled: true, persistAuthorization: true });
</script>
</body>
</html>
`;
}

const here = dirname(fileURLToPath(import.meta.url));

/** A built package brings the files beside this module; from the sources they are where npm put them. */
async function asset(name: string): Promise<Buffer<ArrayBuffer>> {
  try {
    return await readFile(join(here, "docs-assets", name));
  } catch {
    return readFile(createRequire(import.meta.url).resolve(`swagger-ui-dist/${name}`));
  }
}
