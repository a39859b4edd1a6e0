import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Store } from "../../db/store.ts";
import { NotFoundError } from "../../errors.ts";
import { eraseUser } from "../../runs/erase.ts";
import { errorResponses, jsonResponse } from "../describe.ts";
import { identifier } from "../identifiers.ts";
import { presentMemory } from "../memory-fields.ts";
import { presentRun, type Reader, readerOf } from "../present.ts";
import { presentListedSession } from "../present-sessions.ts";
import { principalOf, type Served, storeOf } from "../served.ts";

const tags = ["Users"];
const userPath = z.object({ user_id: identifier.openapi({ example: "sarah@acme.com" }) });

const lines: ReturnType<typeof errorResponses> = {
  200: {
    description: "The lines; none where nothing is stored of the user.",
    content: {
      "application/x-ndjson": {
        schema: z.string().openapi({
          example:
            '{"type":"session","session_id":"thread-42"}\n{"type":"run","run_id":"run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11"}\n',
        }),
      },
    },
  },
  ...errorResponses(404, 422, 503),
};

const exportUser = createRoute({
  method: "get",
  path: "/users/{user_id}/export",
  operationId: "export_user",
  summary: "Get all that is stored of a user",
  description:
    "JSON lines, streamed. Each has a `type`: `session`, followed by its runs, oldest first, each a `run` with its " +
    "messages; and at the end each `memory`.",
  tags,
  request: { params: userPath },
  responses: lines,
});

const counts = z
  .object({
    sessions: z.int(),
    runs: z.int(),
    messages: z.int(),
    run_events: z.int().openapi({ description: "Rows of the logs of runs; each holds many events." }),
    files: z.int(),
    memories: z.int(),
  })
  .openapi("Erased", {
    description: "How many there were of each.",
    example: { sessions: 3, runs: 12, messages: 48, run_events: 12, files: 1, memories: 5 },
  });

const eraseUserRoute = createRoute({
  method: "delete",
  path: "/users/{user_id}",
  operationId: "erase_user",
  summary: "Erase all that is stored of a user",
  description: "In one transaction. Runs of the user that are under way are ended first.",
  tags,
  request: { params: userPath },
  responses: jsonResponse("What was erased; all 0 where nothing was there.", counts, 422, 503),
});

/** Entries that an export reads at a time. */
const pageSize = 50;

/** What is stored of a user: reading all of it, and erasing all of it. */
export function userRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(exportUser, async (c): Promise<Response> => {
    const { user_id } = c.req.valid("param");
    const store = await storeOf(served, c, user_id);
    if (!store.users.reaches(user_id)) throw new NotFoundError("User not found");
    const exported = linesOf(store, user_id, served, readerOf(c, principalOf(c, user_id)));
    // Read before the answer begins: a database that is away is a 503 then, not half an answer.
    const first = await exported.next();
    return c.body(streamOf(first, exported), 200, {
      "content-type": "application/x-ndjson; charset=utf-8",
      "cache-control": "no-store",
    });
  });

  app.openapi(eraseUserRoute, async (c): Promise<Response> => {
    const { user_id } = c.req.valid("param");
    const store = await storeOf(served, c, user_id);
    return c.json(await eraseUser(served.runner, store, user_id));
  });
}

/** The lines of an export, some at a time: what the reader has not taken is not read yet. */
async function* linesOf(
  store: Store,
  userId: string,
  served: Served,
  reader: Reader,
): AsyncGenerator<string, void, void> {
  for (let after = ""; ; ) {
    const sessions = await store.users.sessions(userId, after, pageSize);
    if (sessions.length === 0) break;
    const tokens = await store.sessions.tokens(sessions.map(({ sessionId }) => sessionId));
    for (const session of sessions) {
      const { sessionId, metadata = null, summary = null } = session;
      const shown = presentListedSession(session, tokens.get(sessionId));
      yield line("session", { ...shown, metadata, session_summary: summary });
      for (let order = -1; ; ) {
        const runs = await store.runs.ofSession({ sessionId, after: order, limit: pageSize });
        const last = runs.at(-1);
        if (!last) break;
        yield runs.map(({ run }) => line("run", presentRun(run, served, reader))).join("");
        order = last.order;
      }
    }
    after = sessions.at(-1)!.sessionId;
  }
  for (let cursor: { time: number; memoryId: string } | undefined; ; ) {
    const { memories } = await store.memories.list(
      { userId },
      { page: 1, limit: pageSize, sortBy: "created_at", order: "asc", ...(cursor && { cursor }) },
    );
    const last = memories.at(-1);
    if (!last) return;
    yield memories.map((memory) => line("memory", presentMemory(memory))).join("");
    cursor = { time: last.createdAt, memoryId: last.memoryId };
  }
}

function line(type: string, fields: object): string {
  return `${JSON.stringify({ type, ...fields })}\n`;
}

function streamOf(
  first: IteratorResult<string, void>,
  rest: AsyncGenerator<string, void, void>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let next: IteratorResult<string, void> | undefined = first;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = next ?? (await rest.next());
        next = undefined;
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      async cancel() {
        await rest.return();
      },
    },
    { highWaterMark: 1 },
  );
}
