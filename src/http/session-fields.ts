import { z } from "@hono/zod-openapi";
import { type SessionPlace, type SessionSort, sessionSorts } from "../db/sessions.ts";
import { InvalidRequestError, NotFoundError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../events/json.ts";
import { isReadable } from "../options.ts";
import { dbIdQuery } from "./database-id.ts";
import { identifier, optionalIdentifier } from "./identifiers.ts";

const sessionTypes = ["agent", "team", "workflow"] as const;

const object = z
  .custom<JsonObject>(isJsonObject, "Input should be a JSON object")
  .openapi({ type: "object", additionalProperties: {} });

const name = z
  .string()
  .trim()
  .min(1, "A name has at least one character")
  .max(255, "A name has at most 255 characters")
  .refine(isReadable, "A name may not hold control characters");

const optionalName = z
  .union([z.literal("").transform(() => undefined), z.null().transform(() => undefined), name])
  .optional()
  .openapi({ type: "string", maxLength: 255, example: "Launch date" });

/** An empty parameter counts as left out. */
const optionally = <T extends z.ZodType>(schema: T) =>
  z.union([z.literal("").transform(() => undefined), schema]).optional();

export const sessionPath = z.object({ session_id: identifier.openapi({ example: "thread-42" }) });

/** The query parameter that says which kind of session is meant. There are those of agents alone. */
export const sessionTypeQuery = {
  type: optionally(z.enum(sessionTypes)).openapi({
    type: "string",
    enum: [...sessionTypes],
    description: "Sessions are those of agents: there are none of the other types.",
  }),
};

/** The query parameters of every endpoint of one session. */
export const sessionQuery = z.object({
  ...sessionTypeQuery,
  user_id: optionalIdentifier.openapi({ description: "The session must be this user's, else it is 404." }),
  ...dbIdQuery,
});

/** What a list of sessions may be asked for, beside its page. */
export const sessionListQuery = {
  ...sessionTypeQuery,
  user_id: optionalIdentifier,
  agent_id: optionalIdentifier,
  component_id: optionalIdentifier.openapi({ description: "The same as `agent_id`." }),
  session_name: z
    .string()
    .max(255)
    .refine(isReadable, "A name may not hold control characters")
    .optional()
    .openapi({ description: "A part of the name, in upper or lower case." }),
  search: z
    .string()
    .max(500)
    .optional()
    .openapi({
      description:
        "Words of the name, or of what was said in one run; the last may be a beginning. The best match comes first, " +
        "whatever the sort, each session has a `snippet`, and `limit` is 100 at most.",
    }),
  sort_by: optionally(z.enum(sessionSorts))
    .transform((by) => by ?? "created_at")
    .openapi({ type: "string", enum: [...sessionSorts], default: "created_at" }),
  sort_order: optionally(z.enum(["asc", "desc"]))
    .transform((order) => order ?? "desc")
    .openapi({ type: "string", enum: ["asc", "desc"], default: "desc" }),
  cursor: z.string().max(2000).optional().openapi({
    description: "The `next_cursor` of another page with the same sort, in the place of `page`.",
  }),
};

/** The body of a new session. */
export const newSessionBody = z
  .strictObject({
    session_id: optionalIdentifier.openapi({ description: "Made up where absent.", example: "thread-42" }),
    session_name: optionalName,
    session_state: object.nullish(),
    metadata: object.nullish(),
    user_id: optionalIdentifier.openapi({ example: "sarah@acme.com" }),
    agent_id: optionalIdentifier.openapi({ example: "copilot" }),
    team_id: optionalIdentifier.openapi({ description: "There are no teams." }),
    workflow_id: optionalIdentifier.openapi({ description: "There are no workflows." }),
  })
  .openapi("NewSession");

/** The body of a change. What is left out stays. */
export const sessionPatchBody = z
  .strictObject({
    session_name: name.nullish().openapi({ example: "Launch date" }),
    session_state: object.nullish().openapi({ description: "Takes the place of the whole state." }),
    metadata: object.nullish(),
    summary: z
      .looseObject({ summary: z.string(), topics: z.array(z.string()).optional() })
      .nullish()
      .openapi({ example: { summary: "Sarah moved the launch to May.", topics: ["launch"] } }),
  })
  .openapi("SessionPatch");

/** The body of a rename. */
export const renameBody = z
  .strictObject({ session_name: name.openapi({ example: "Launch date" }) })
  .openapi("SessionRename");

/** The body of a multi-delete. */
export const sessionDeleteBody = z
  .strictObject({
    session_ids: z.array(identifier).max(1000, "List should have at most 1000 items"),
    session_types: z.array(z.enum(sessionTypes)).openapi({ description: "One for each id." }),
  })
  .openapi("SessionDelete", { example: { session_ids: ["thread-42"], session_types: ["agent"] } });

/** @throws {NotFoundError} for a type of which there are no sessions */
export function refuseOtherType(type: (typeof sessionTypes)[number] | undefined, sessionId: string): void {
  if (type === undefined || type === "agent") return;
  throw new NotFoundError(
    `${type === "team" ? "Team" : "Workflow"} Session with id '${sessionId}' not found`,
  );
}

const place = z.tuple([
  z.enum(sessionSorts),
  z.enum(["asc", "desc"]),
  z.int().min(2).max(1_000_000_000),
  z.union([z.int(), z.string().max(255)]),
  identifier,
]);

/** Where a list goes on: its sort, the number of the page for its `meta`, and the last session before. */
export function cursorText(sort: SessionSort, page: number, { key, sessionId }: SessionPlace): string {
  const fields: z.input<typeof place> = [sort.by, sort.order, page, key, sessionId];
  return Buffer.from(JSON.stringify(fields)).toString("base64url");
}

/** @throws {InvalidRequestError} when it is none, or one of a list with another sort */
export function readCursor(text: string, sort: SessionSort): { page: number; after: SessionPlace } {
  const refuse = (reason: string) =>
    InvalidRequestError.field(["query", "cursor"], reason, { type: "cursor_invalid", input: text });
  const parsed = place.safeParse(jsonOf(text));
  if (!parsed.success) throw refuse("Not a cursor of this list");
  const [by, order, page, key, sessionId] = parsed.data;
  if (by !== sort.by || order !== sort.order) {
    throw refuse(`The cursor is of a list that is sorted by ${by} ${order}`);
  }
  const fits = by === "session_name" ? typeof key === "string" && isReadable(key) : typeof key === "number";
  if (!fits) throw refuse("Not a cursor of this list");
  return { page, after: { key, sessionId } };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}
