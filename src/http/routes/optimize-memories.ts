import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { type MergedMemories, mergeMemories, tokensOf } from "../../agent/memory/optimize.ts";
import type { MemoryText, StoredMemory } from "../../db/memories.ts";
import { InvalidRequestError, NotFoundError, RunFailedError, UnavailableError } from "../../errors.ts";
import { newId } from "../../events/ids.ts";
import type { Model } from "../../models/model.ts";
import { dbIdQuery, refuseOtherDatabase } from "../database-id.ts";
import { jsonResponse } from "../describe.ts";
import { jsonBody, withJsonBody } from "../json-body.ts";
import { memorySchema, optimizeBody, presentMemory } from "../memory-fields.ts";
import { type Served, storeOf, userOf } from "../served.ts";
import { useWithin } from "../usage/submit-run.ts";

/** Memories that are merged at once, the oldest first: what a model can take in. */
const mostMerged = 1000;

const optimization = z
  .object({
    memories: z.array(memorySchema),
    memories_before: z.int(),
    memories_after: z.int(),
    tokens_before: z.int().openapi({ description: "About: four characters each." }),
    tokens_after: z.int(),
    tokens_saved: z.int(),
    reduction_percentage: z.number(),
  })
  .openapi("MemoryOptimization", {
    example: {
      memories: [],
      memories_before: 12,
      memories_after: 5,
      tokens_before: 240,
      tokens_after: 90,
      tokens_saved: 150,
      reduction_percentage: 62.5,
    },
  });

const optimizeMemories = createRoute({
  method: "post",
  path: "/optimize-memories",
  operationId: "optimize_memories",
  summary: "Merge a user's memories into fewer",
  description:
    "A model call. `apply: false` is a preview. What would save nothing is not applied: the answer holds the memories as they are.",
  tags: ["Memories"],
  request: { query: z.object(dbIdQuery) },
  responses: jsonResponse("What came of it.", optimization, 404, 409, 413, 415, 422, 503),
});

/** Merging a user's memories. */
export function optimizeRoute(app: OpenAPIHono, served: Served): void {
  app.openapi(withJsonBody(app, optimizeMemories, optimizeBody), async (c): Promise<Response> => {
    refuseOtherDatabase(served, c.req.valid("query").db_id);
    const { user_id, model: wanted, apply } = await jsonBody(c, served, optimizeBody);
    const model = modelOf(served, wanted ?? undefined);
    const userId = userOf(c, user_id) ?? user_id;
    const { memories: store } = await storeOf(served, c, user_id);
    const before = (
      await store.list({ userId }, { page: 1, limit: mostMerged, sortBy: "created_at", order: "asc" })
    ).memories;
    if (before.length === 0) throw new NotFoundError(`No memories found for user ${userId}`);
    const merged = await useWithin(served, c, userId, async () => {
      const { memories, usage } = await mergedBy(model, before, c.req.raw.signal);
      return { result: memories, tokens: usage.total_tokens };
    });
    const saved = tokensOf(before) - tokensOf(merged);
    if (saved <= 0) return c.json(report(before, before));
    const after = apply
      ? await store.replace(userId, before, merged)
      : merged.map((one) => preview(one, userId));
    return c.json(report(before, after));
  });
}

/** The model of the agents that remember; of any agent, where none does; or the one that is asked for. */
function modelOf({ agents }: Served, wanted: string | undefined): Model {
  const all = [...agents.values()];
  if (wanted === undefined) return (all.find(({ memory }) => memory) ?? all[0]!).model;
  const found = all.find(({ model }) => model.id === wanted || `${model.provider}:${model.id}` === wanted);
  if (found) return found.model;
  throw InvalidRequestError.field(["body", "model"], "No agent that is served here has this model", {
    input: wanted,
  });
}

/** A model that fails is somebody else's failure, and may do better later. */
async function mergedBy(
  model: Model,
  memories: readonly StoredMemory[],
  signal: AbortSignal,
): Promise<MergedMemories> {
  try {
    return await mergeMemories(model, memories, signal);
  } catch (error) {
    const tooLong = error instanceof Error && error.name === "TimeoutError";
    if (!tooLong && !(error instanceof RunFailedError)) throw error;
    throw new UnavailableError(tooLong ? "The model took too long to answer." : error.message, {
      cause: error,
    });
  }
}

function preview({ memory, topics }: MemoryText, userId: string): StoredMemory {
  const now = Date.now();
  return { memoryId: newId(), userId, memory, topics: [...topics], createdAt: now, updatedAt: now };
}

function report(before: readonly StoredMemory[], after: readonly StoredMemory[]) {
  const [tokensBefore, tokensAfter] = [tokensOf(before), tokensOf(after)];
  const saved = tokensBefore - tokensAfter;
  return {
    memories: after.map(presentMemory),
    memories_before: before.length,
    memories_after: after.length,
    tokens_before: tokensBefore,
    tokens_after: tokensAfter,
    tokens_saved: saved,
    reduction_percentage: tokensBefore === 0 ? 0 : (100 * saved) / tokensBefore,
  };
}
