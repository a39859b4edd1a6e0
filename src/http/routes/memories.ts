import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { mostCounted } from "../../db/memories.ts";
import { InvalidRequestError, NotFoundError } from "../../errors.ts";
import { dbIdQuery, refuseOtherDatabase } from "../database-id.ts";
import { errorResponses, jsonResponse } from "../describe.ts";
import { identifier, optionalIdentifier } from "../identifiers.ts";
import { jsonBody, withJsonBody } from "../json-body.ts";
import {
  cursorOf,
  memoryDeleteBody,
  memoryListQuery,
  memoryPatchBody,
  memorySchema,
  memoryTime,
  newMemoryBody,
  presentMemory,
  topicsOf,
} from "../memory-fields.ts";
import { pagedSchema, pageMeta, pageQuery } from "../paging.ts";
import { ownerOf, type Served, storeOf, userOf } from "../served.ts";

const tags = ["Memories"];
const memoryPath = z.object({ memory_id: identifier });
const userQuery = z.object({ user_id: optionalIdentifier, ...dbIdQuery });

/** Memories that a page of a search may hold. */
const mostFound = 100;

const createMemory = createRoute({
  method: "post",
  path: "/memories",
  operationId: "create_memory",
  summary: "Remember something of a user",
  tags,
  request: { query: z.object(dbIdQuery) },
  responses: jsonResponse("The memory.", memorySchema, 400, 404, 413, 415, 422, 503),
});

const listMemories = createRoute({
  method: "get",
  path: "/memories",
  operationId: "list_memories",
  summary: "List memories, or search them by words",
  tags,
  request: { query: z.object({ ...memoryListQuery, ...pageQuery, ...dbIdQuery }) },
  responses: jsonResponse("A page of memories.", pagedSchema(memorySchema, "MemoryPage"), 404, 422, 503),
});

const getMemory = createRoute({
  method: "get",
  path: "/memories/{memory_id}",
  operationId: "get_memory",
  summary: "Get a memory",
  description: "A user that is given must be the memory's, else it is 404.",
  tags,
  request: { params: memoryPath, query: userQuery },
  responses: jsonResponse("The memory.", memorySchema, 404, 422, 503),
});

const patchMemory = createRoute({
  method: "patch",
  path: "/memories/{memory_id}",
  operationId: "patch_memory",
  summary: "Change a memory",
  tags,
  request: { params: memoryPath, query: z.object(dbIdQuery) },
  responses: jsonResponse("The memory as it is now.", memorySchema, 404, 413, 415, 422, 503),
});

const deleted = { 204: { description: "It is not there, whether or not it was." } };

const deleteMemory = createRoute({
  method: "delete",
  path: "/memories/{memory_id}",
  operationId: "delete_memory",
  summary: "Forget a memory",
  tags,
  request: { params: memoryPath, query: userQuery },
  responses: { ...deleted, ...errorResponses(404, 422, 503) },
});

const deleteMemories = createRoute({
  method: "delete",
  path: "/memories",
  operationId: "delete_memories",
  summary: "Forget several memories at once",
  tags,
  request: { query: z.object(dbIdQuery) },
  responses: { ...deleted, ...errorResponses(404, 413, 415, 422, 503) },
});

const listTopics = createRoute({
  method: "get",
  path: "/memory_topics",
  operationId: "list_memory_topics",
  summary: "List the topics of memories",
  tags,
  request: { query: userQuery },
  responses: jsonResponse("The topics.", z.array(z.string()).openapi({ example: ["drinks"] }), 404, 422, 503),
});

const stats = z
  .object({
    user_id: z.string(),
    total_memories: z.int(),
    last_memory_updated_at: z.string().openapi({ format: "date-time" }),
  })
  .openapi("UserMemoryStats", {
    example: {
      user_id: "sarah@acme.com",
      total_memories: 12,
      last_memory_updated_at: "2026-11-24T05:07:46Z",
    },
  });

const listStats = createRoute({
  method: "get",
  path: "/user_memory_stats",
  operationId: "list_user_memory_stats",
  summary: "How much is remembered of each user",
  tags,
  request: { query: z.object({ user_id: optionalIdentifier, ...pageQuery, ...dbIdQuery }) },
  responses: jsonResponse("A page of users.", pagedSchema(stats, "UserMemoryStatsPage"), 404, 422, 503),
});

/** What is remembered of users: making, reading, changing and deleting it. */
export function memoryRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(withJsonBody(app, createMemory, newMemoryBody), async (c): Promise<Response> => {
    refuseOtherDatabase(served, c.req.valid("query").db_id);
    const { memory, user_id, topics } = await jsonBody(c, served, newMemoryBody);
    const userId = ownerOf(c, user_id);
    if (userId === undefined) throw new InvalidRequestError("User ID is required");
    const store = await storeOf(served, c, user_id);
    return c.json(presentMemory(await store.memories.create({ userId, memory, topics: topics ?? [] })));
  });

  app.openapi(listMemories, async (c): Promise<Response> => {
    const { db_id, user_id, agent_id, team_id, search_content, topics, cursor, page, limit, ...sort } =
      c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const search = search_content?.trim();
    if (search && limit > mostFound) {
      throw InvalidRequestError.field(["query", "limit"], `A search answers at most ${mostFound}`, {
        input: c.req.query("limit"),
      });
    }
    const since = performance.now();
    const userId = userOf(c, user_id);
    const store = await storeOf(served, c, user_id);
    const { memories, total } =
      team_id === undefined
        ? await store.memories.list(
            {
              topics: topicsOf(topics),
              ...(userId !== undefined && { userId }),
              ...(agent_id !== undefined && { agentId: agent_id }),
              ...(search && { search }),
            },
            {
              page,
              limit,
              sortBy: sort.sort_by,
              order: sort.sort_order,
              ...(cursor !== undefined && { cursor: cursorOf(cursor) }),
            },
          )
        : { memories: [], total: 0 };
    const last = memories.length === limit && !search ? memories.at(-1) : undefined;
    const time = sort.sort_by === "created_at" ? last?.createdAt : last?.updatedAt;
    const nextCursor = last && `${time}.${last.memoryId}`;
    return c.json({
      data: memories.map(presentMemory),
      meta: pageMeta({ page, limit, total, mostCounted, since, nextCursor }),
    });
  });

  app.openapi(getMemory, async (c): Promise<Response> => {
    const { memory_id } = c.req.valid("param");
    const { user_id, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const memory = await (await storeOf(served, c, user_id)).memories.get(memory_id, userOf(c, user_id));
    if (!memory) throw notFound(memory_id);
    return c.json(presentMemory(memory));
  });

  app.openapi(withJsonBody(app, patchMemory, memoryPatchBody), async (c): Promise<Response> => {
    const { memory_id } = c.req.valid("param");
    refuseOtherDatabase(served, c.req.valid("query").db_id);
    const { memory, topics, user_id } = await jsonBody(c, served, memoryPatchBody);
    const store = await storeOf(served, c, user_id);
    const change = { memory, ...(topics && { topics }) };
    const changed = await store.memories.patch(memory_id, change, userOf(c, user_id));
    if (!changed) throw notFound(memory_id);
    return c.json(presentMemory(changed));
  });

  app.openapi(deleteMemory, async (c): Promise<Response> => {
    const { user_id, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const store = await storeOf(served, c, user_id);
    await store.memories.delete([c.req.valid("param").memory_id], userOf(c, user_id));
    return c.body(null, 204);
  });

  app.openapi(withJsonBody(app, deleteMemories, memoryDeleteBody), async (c): Promise<Response> => {
    refuseOtherDatabase(served, c.req.valid("query").db_id);
    const { memory_ids, user_id } = await jsonBody(c, served, memoryDeleteBody);
    await (await storeOf(served, c, user_id)).memories.delete(memory_ids, userOf(c, user_id));
    return c.body(null, 204);
  });

  app.openapi(listTopics, async (c): Promise<Response> => {
    const { user_id, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    return c.json(await (await storeOf(served, c, user_id)).memories.topics(userOf(c, user_id)));
  });

  app.openapi(listStats, async (c): Promise<Response> => {
    const { user_id, page, limit, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const since = performance.now();
    const userId = userOf(c, user_id);
    const store = await storeOf(served, c, user_id);
    const found = await store.memories.stats(userId === undefined ? {} : { userId }, { page, limit });
    return c.json({
      data: found.stats.map((one) => ({
        user_id: one.userId,
        total_memories: one.count,
        last_memory_updated_at: memoryTime(one.updatedAt),
      })),
      meta: pageMeta({ page, limit, total: found.total, mostCounted, since }),
    });
  });
}

function notFound(memoryId: string): NotFoundError {
  return new NotFoundError(`Memory with ID ${memoryId} not found`);
}
