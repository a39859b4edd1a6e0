import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { NotFoundError } from "../../errors.ts";
import { errorResponses } from "../describe.ts";
import { identifier } from "../identifiers.ts";
import { maySee, type Served, storeOf } from "../served.ts";

const getMedia = createRoute({
  method: "get",
  path: "/media/{media_id}",
  operationId: "get_media",
  summary: "Get a file of a run",
  description: "The bytes as they were sent. Who may see the run may see its files.",
  tags: ["Runs"],
  request: {
    params: z.object({
      media_id: identifier.openapi({ example: "019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11" }),
    }),
  },
  responses: {
    200: {
      description: "The file, under the type that it was sent with.",
      content: {
        "*/*": { schema: z.string().openapi({ format: "binary", example: "Meeting notes, May 3" }) },
      },
    },
    ...errorResponses(404, 422, 503),
  },
});

/** The files of runs. */
export function mediaRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(getMedia, async (c): Promise<Response> => {
    const file = await (await storeOf(served, c)).media.get(c.req.valid("param").media_id);
    if (!file || !maySee(c, file.agentId)) throw new NotFoundError("Media not found");
    return c.body(Buffer.from(file.bytes), 200, {
      "content-type": file.mimeType,
      // What a user sent must never run as a page of this origin.
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(file.filename)}`,
      "content-security-policy": "sandbox",
      "cache-control": "private, max-age=31536000, immutable",
    });
  });
}
