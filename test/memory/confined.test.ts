import type { Database } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";

const open = { scopes: [], unrestricted: true };
const confinedTo = (userId?: string) => ({
  scopes: [],
  unrestricted: false,
  ...(userId !== undefined && { userId }),
});
const page = { page: 1, limit: 10, sortBy: "updated_at", order: "desc" } as const;

describe.each(engines)("a handle that is confined to a user, on $name", (engine) => {
  let db: Database;

  beforeAll(async () => {
    db = engine.connect(await engine.createLocation());
    await db.open();
  });
  afterAll(() => db.close());

  test("reaches that user's memories and no other, whatever ids and users it is given", async () => {
    const all = db.storeFor(open).memories;
    const ada = await all.create({ userId: "ada", memory: "Likes tea", topics: ["drinks"] });
    await all.create({ userId: "eve", memory: "Likes tea too", topics: ["eve's"] });

    for (const principal of [confinedTo("eve"), confinedTo()]) {
      const store = db.storeFor(principal).memories;
      const own = principal.userId === undefined ? 0 : 1;
      expect(await store.get(ada.memoryId)).toBeUndefined();
      expect(await store.get(ada.memoryId, "ada")).toBeUndefined();
      expect((await store.list({}, page)).total).toBe(own);
      expect((await store.list({ search: "tea" }, page)).total).toBe(own);
      for (const search of [undefined, "tea"]) {
        const found = await store.list({ userId: "ada", ...(search && { search }) }, page);
        expect(found).toEqual({ memories: [], total: 0 });
      }
      expect(await store.topics("ada")).toEqual([]);
      expect(await store.topics()).toEqual(own ? ["eve's"] : []);
      expect((await store.stats({}, page)).total).toBe(own);
      expect(await store.relevant({ userId: "ada", message: "tea", budget: 8000 })).toEqual([]);
      expect(await store.patch(ada.memoryId, { memory: "x", topics: [] })).toBeUndefined();
      await store.delete([ada.memoryId]);
      await store.delete([ada.memoryId], "ada");
      await expect(store.create({ userId: "ada", memory: "x", topics: [] })).rejects.toThrow("not found");
      await expect(store.apply("ada", [{ op: "add", memory: "x" }])).rejects.toThrow("not found");
      await expect(store.replace("ada", [ada], [{ memory: "x", topics: [] }])).rejects.toThrow("not found");
    }
    await expect(
      db.storeFor(confinedTo("eve")).memories.apply("eve", [{ op: "delete", memoryId: ada.memoryId }]),
    ).rejects.toThrow("not found");
    expect((await all.list({ userId: "ada" }, page)).memories).toEqual([ada]);
  });

  test("the count of a long list stops at 10,000", async () => {
    const { memories } = db.storeFor(confinedTo("many"));
    for (let i = 0; i < 4; i++) {
      await memories.apply(
        "many",
        Array.from({ length: 2600 }, (_, n) => ({ op: "add", memory: `fact ${i} ${n}` })),
      );
    }
    expect((await memories.list({}, page)).total).toBe(10_001);
    expect((await memories.list({ search: "fact" }, page)).total).toBe(10_001);
    expect((await memories.list({}, { ...page, page: 1040 })).memories).toHaveLength(10);
  }, 120_000);
});
