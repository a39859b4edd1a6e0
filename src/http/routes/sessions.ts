import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { placeOf, type SessionFilter, type StoredSession } from "../../db/sessions.ts";
import type { Store } from "../../db/store.ts";
import { InvalidRequestError, NotFoundError } from "../../errors.ts";
import { dbIdQuery, refuseOtherDatabase } from "../database-id.ts";
import { createdResponse, errorResponses, jsonResponse } from "../describe.ts";
import { optionalIdentifier } from "../identifiers.ts";
import { jsonBody, withJsonBody } from "../json-body.ts";
import { pagedSchema, pageMeta, pageQuery } from "../paging.ts";
import { readerOf } from "../present.ts";
import { presentListedSession, presentSession } from "../present-sessions.ts";
import { agentOf, ownerOf, type Served, storeOf, userOf } from "../served.ts";
import {
  cursorText,
  newSessionBody,
  readCursor,
  refuseOtherType,
  renameBody,
  sessionDeleteBody,
  sessionListQuery,
  sessionPatchBody,
  sessionPath,
  sessionQuery,
  sessionTypeQuery,
} from "../session-fields.ts";
import { listedSessionSchema, sessionSchema } from "../session-schemas.ts";

const tags = ["Sessions"];

/** Sessions that a page of a search may hold. */
const mostFound = 100;

const createSession = createRoute({
  method: "post",
  path: "/sessions",
  operationId: "create_session",
  summary: "Make a session",
  description:
    "A run makes its session by itself; this is for one that begins with a name, a state or metadata.",
  tags,
  request: { query: z.object({ ...sessionTypeQuery, ...dbIdQuery }) },
  responses: createdResponse("The session.", sessionSchema, 404, 409, 413, 415, 422, 503),
});

const listSessions = createRoute({
  method: "get",
  path: "/sessions",
  operationId: "list_sessions",
  summary: "List sessions, or search them",
  description:
    "Newest first where nothing else is asked for. `next_cursor` leads on at the same cost, however far.",
  tags,
  request: { query: z.object({ ...sessionListQuery, ...pageQuery, ...dbIdQuery }) },
  responses: jsonResponse(
    "A page of sessions.",
    pagedSchema(listedSessionSchema, "SessionPage"),
    404,
    422,
    503,
  ),
});

const getSession = createRoute({
  method: "get",
  path: "/sessions/{session_id}",
  operationId: "get_session",
  summary: "Get a session with what was said",
  tags,
  request: { params: sessionPath, query: sessionQuery },
  responses: jsonResponse("The session.", sessionSchema, 404, 422, 503),
});

const patchSession = createRoute({
  method: "patch",
  path: "/sessions/{session_id}",
  operationId: "patch_session",
  summary: "Change name, state, metadata or summary",
  description: "What is left out stays. A session without an owner becomes the named user's.",
  tags,
  request: { params: sessionPath, query: sessionQuery },
  responses: jsonResponse("The session as it is now.", sessionSchema, 404, 413, 415, 422, 503),
});

const renameSession = createRoute({
  method: "post",
  path: "/sessions/{session_id}/rename",
  operationId: "rename_session",
  summary: "Rename a session",
  description: "No name that the server finds takes the place of this one.",
  tags,
  request: { params: sessionPath, query: sessionQuery },
  responses: jsonResponse("The session as it is now.", sessionSchema, 404, 413, 415, 422, 503),
});

const deleteQuery = z.object({
  user_id: optionalIdentifier.openapi({ description: "Only this user's are deleted." }),
  ...dbIdQuery,
  delete_media: z
    .stringbool()
    .optional()
    .openapi({ type: "boolean", description: "Files always go with the last session that has them." }),
});

const deleted = { 204: { description: "It is not there, whether or not it was." } };

const deleteSession = createRoute({
  method: "delete",
  path: "/sessions/{session_id}",
  operationId: "delete_session",
  summary: "Delete a session with its runs and files",
  description: "409 while a run of it is under way.",
  tags,
  request: { params: sessionPath, query: deleteQuery },
  responses: { ...deleted, ...errorResponses(404, 409, 422, 503) },
});

const deleteSessions = createRoute({
  method: "delete",
  path: "/sessions",
  operationId: "delete_sessions",
  summary: "Delete several sessions, or none of them",
  description: "409 while a run of one of them is under way; then none is deleted.",
  tags,
  request: { query: deleteQuery },
  responses: { ...deleted, ...errorResponses(400, 404, 409, 413, 415, 422, 503) },
});

/** Sessions: making, listing, searching, reading, changing and deleting them. */
export function sessionRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(withJsonBody(app, createSession, newSessionBody), async (c): Promise<Response> => {
    const { type, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const body = await jsonBody(c, served, newSessionBody);
    if (type === "team" || body.team_id !== undefined) throw new NotFoundError("Team not found");
    if (type === "workflow" || body.workflow_id !== undefined) throw new NotFoundError("Workflow not found");
    const { session_id, session_name, session_state, metadata, user_id, agent_id } = body;
    if (agent_id !== undefined) agentOf(served, agent_id);
    const store = await storeOf(served, c, user_id);
    const userId = ownerOf(c, user_id);
    const session = await store.sessions.create({
      ...(session_id !== undefined && { sessionId: session_id }),
      ...(session_name !== undefined && { name: session_name }),
      ...(session_state && { state: session_state }),
      ...(metadata && { metadata }),
      ...(userId !== undefined && { userId }),
      ...(agent_id !== undefined && { agentId: agent_id }),
    });
    return c.json(presentSession(session, { tokens: undefined, said: [] }, served, readerOf(c)), 201);
  });

  app.openapi(listSessions, async (c): Promise<Response> => {
    const since = performance.now();
    const query = c.req.valid("query");
    refuseOtherDatabase(served, query.db_id);
    const { limit, search, user_id, session_name } = query;
    const agentId = query.agent_id ?? query.component_id;
    const sort = { by: query.sort_by, order: query.sort_order };
    const searched = search !== undefined && search !== "";
    if (searched) refuseForSearch(limit, query.cursor);
    const cursor =
      query.cursor === undefined || query.cursor === "" ? undefined : readCursor(query.cursor, sort);
    const page = cursor?.page ?? query.page;
    const userId = userOf(c, user_id);
    const filter: SessionFilter = {
      ...(userId !== undefined && { userId }),
      ...(agentId !== undefined && { agentId }),
      ...(session_name !== undefined && session_name !== "" && { name: session_name }),
    };
    // A session began with one agent: none is of two.
    const none =
      (query.type !== undefined && query.type !== "agent") ||
      (query.component_id !== undefined && query.component_id !== agentId);
    const store = await storeOf(served, c, user_id);
    const part = { limit, offset: (page - 1) * limit, ...(cursor && { after: cursor.after }) };
    const { sessions, total, isCapped, more } = none
      ? { sessions: [], total: 0, isCapped: false, more: false }
      : searched
        ? await store.sessions.search(filter, search, part)
        : await store.sessions.list(filter, sort, part);
    const tokens = await store.sessions.tokens(sessions.map(({ sessionId }) => sessionId));
    const last = more && !searched ? sessions.at(-1) : undefined;
    return c.json({
      data: sessions.map((session) => presentListedSession(session, tokens.get(session.sessionId))),
      meta: pageMeta({
        page,
        limit,
        total: isCapped ? total + 1 : total,
        mostCounted: total,
        since,
        nextCursor: last && cursorText(sort, page + 1, placeOf(last, sort)),
      }),
    });
  });

  app.openapi(getSession, async (c): Promise<Response> => {
    const { ref, store } = await meant(c, c.req.valid("param").session_id, c.req.valid("query"));
    return answer(c, store, await store.sessions.get(ref), ref.sessionId);
  });

  app.openapi(withJsonBody(app, patchSession, sessionPatchBody), async (c): Promise<Response> => {
    const body = await jsonBody(c, served, sessionPatchBody);
    const { ref, store } = await meant(c, c.req.valid("param").session_id, c.req.valid("query"));
    const change = {
      ...(typeof body.session_name === "string" && { name: body.session_name }),
      ...(body.session_state && { state: body.session_state }),
      ...(body.metadata && { metadata: body.metadata }),
      ...(body.summary && { summary: body.summary }),
    };
    return answer(c, store, await store.sessions.change(ref, change), ref.sessionId);
  });

  app.openapi(withJsonBody(app, renameSession, renameBody), async (c): Promise<Response> => {
    const { session_name } = await jsonBody(c, served, renameBody);
    const { ref, store } = await meant(c, c.req.valid("param").session_id, c.req.valid("query"));
    return answer(c, store, await store.sessions.change(ref, { name: session_name }), ref.sessionId);
  });

  app.openapi(deleteSession, async (c): Promise<Response> => {
    const { user_id, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const store = await storeOf(served, c, user_id);
    await store.sessions.delete([c.req.valid("param").session_id], userOf(c, user_id));
    return c.body(null, 204);
  });

  app.openapi(withJsonBody(app, deleteSessions, sessionDeleteBody), async (c): Promise<Response> => {
    const { user_id, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const { session_ids, session_types } = await jsonBody(c, served, sessionDeleteBody);
    if (session_ids.length !== session_types.length) {
      throw new InvalidRequestError("Session IDs and session types must have the same length");
    }
    const store = await storeOf(served, c, user_id);
    await store.sessions.delete(
      session_ids.filter((_, i) => session_types[i] === "agent"),
      userOf(c, user_id),
    );
    return c.body(null, 204);
  });

  async function meant(c: Context, sessionId: string, query: z.output<typeof sessionQuery>) {
    refuseOtherDatabase(served, query.db_id);
    refuseOtherType(query.type, sessionId);
    const userId = userOf(c, query.user_id);
    const ref = { sessionId, ...(userId !== undefined && { userId }) };
    return { ref, store: await storeOf(served, c, query.user_id) };
  }

  async function answer(c: Context, store: Store, session: StoredSession | undefined, sessionId: string) {
    if (!session) throw new NotFoundError(`Session with id '${sessionId}' not found`);
    const tokens = (await store.sessions.tokens([sessionId])).get(sessionId);
    const said = tokens ? await store.sessions.said(sessionId) : [];
    return c.json(presentSession(session, { tokens, said }, served, readerOf(c)));
  }
}

/** The order of a search is that of its ranks, which no cursor could name. */
function refuseForSearch(limit: number, cursor: string | undefined): void {
  if (limit > mostFound) {
    throw InvalidRequestError.field(["query", "limit"], `Input should be at most ${mostFound} with search`, {
      type: "too_big",
      input: String(limit),
    });
  }
  if (cursor !== undefined && cursor !== "") {
    throw InvalidRequestError.field(["query", "cursor"], "A search has pages only", { input: cursor });
  }
}
