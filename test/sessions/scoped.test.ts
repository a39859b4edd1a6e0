import type { Database } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { Sessions } from "../support/sessions.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let sessions: Sessions;
  let db: Database;

  beforeAll(async () => {
    db = engine.connect(await engine.createLocation());
    server = await startServer({ db });
    sessions = new Sessions(server.url);
    for (const user of ["ada", "eve"]) {
      for (const n of [1, 2]) {
        const session_id = `${user}${n}`;
        await server.run({ message: "the same words", session_id, user_id: user, stream: false });
      }
    }
    await sessions.create({ session_id: "nobodys", session_name: "the same words" });
  });
  afterAll(() => server.close());

  const ofUser = (userId?: string, sessionId?: string) =>
    db.storeFor({
      scopes: [],
      unrestricted: false,
      ...(userId !== undefined && { userId }),
      ...(sessionId !== undefined && { sessionId }),
    });
  const sort = { by: "created_at", order: "asc" } as const;
  const page = { limit: 100, offset: 0 };
  const all = async (store: ReturnType<typeof ofUser>, filter = {}) => {
    const listed = await store.sessions.list(filter, sort, page);
    const found = await store.sessions.search(filter, "same words", page);
    const ids = (list: { sessions: { sessionId: string }[] }) =>
      list.sessions.map(({ sessionId }) => sessionId).toSorted();
    expect(ids(found)).toEqual(ids(listed));
    expect(listed.total).toBe(listed.sessions.length);
    return ids(listed);
  };

  test("a handle for a user lists, finds and reads that user's sessions, whatever it is asked", async () => {
    const store = ofUser("ada");
    expect(await all(store)).toEqual(["ada1", "ada2"]);
    expect(await all(store, { userId: "eve" })).toEqual([]);
    for (const ref of [
      { sessionId: "eve1" },
      { sessionId: "nobodys" },
      { sessionId: "ada1", userId: "eve" },
    ]) {
      expect(await store.sessions.get(ref)).toBeUndefined();
      expect(await store.sessions.has(ref)).toBe(false);
    }
    expect(await store.sessions.said("eve1")).toEqual([]);
    expect((await store.sessions.tokens(["eve1", "ada1"])).size).toBe(1);
    expect(await store.runs.ofSession({ sessionId: "eve1", limit: 10 })).toEqual([]);
    expect(await store.runs.previews({ sessionId: "eve1", limit: 10 })).toEqual([]);
    expect(await store.users.sessions("eve", "", 10)).toEqual([]);
  });

  test("a handle for a session sees that one alone, and one without a user none", async () => {
    expect(await all(ofUser("ada", "ada2"))).toEqual(["ada2"]);
    expect(await all(ofUser("ada", "eve1"))).toEqual([]);
    expect(await all(ofUser())).toEqual([]);
    await expect(ofUser().sessions.create({ sessionId: "x" })).rejects.toMatchObject({ status: 404 });
    expect(await ofUser().sessions.change({ sessionId: "nobodys" }, { name: "x" })).toBeUndefined();
  });

  test("a handle changes nothing of others", async () => {
    const store = ofUser("ada");
    const before = [await sessions.get("eve1"), await sessions.list("user_id=eve")];
    expect(await store.sessions.change({ sessionId: "eve1" }, { name: "hers" })).toBeUndefined();
    expect(
      await store.sessions.change({ sessionId: "eve1", userId: "eve" }, { name: "hers" }),
    ).toBeUndefined();
    await store.sessions.delete(["eve1", "eve2"]);
    await store.sessions.delete(["eve1"], "eve");
    await expect(store.sessions.fork({ sessionId: "eve1", agentId: "copilot" })).rejects.toMatchObject({
      status: 404,
    });
    expect(await store.users.erase("eve")).toMatchObject({ sessions: 0, runs: 0, memories: 0 });
    expect(await ofUser("eve", "eve1").users.erase("eve")).toMatchObject({ sessions: 0 });
    const after = [await sessions.get("eve1"), await sessions.list("user_id=eve")];
    expect(JSON.stringify(after[0])).toBe(JSON.stringify(before[0]));
    expect((after[1] as { data: object[] }).data).toEqual((before[1] as { data: object[] }).data);
  });

  test("what a handle makes is its user's, and a session of nobody becomes it", async () => {
    const made = await ofUser("ada").sessions.create({ sessionId: "made", userId: "eve" });
    expect(made.userId).toBe("ada");
    expect(await ofUser("ada").sessions.change({ sessionId: "nobodys" }, { state: { a: 1 } })).toMatchObject({
      userId: "ada",
    });
    expect(await ofUser("eve").sessions.change({ sessionId: "nobodys" }, { name: "x" })).toBeUndefined();
  });
});
