import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { readUntil } from "../support/read-events.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let shouting: TestServer;

  beforeAll(async () => {
    const location = await engine.createLocation();
    server = await startServer({ db: engine.connect(location), agent: { name: "Copilot", retries: 0 } });
    for (let i = 0; i < 5; i++) await run(`m${i}${i === 2 ? " [[error=400]]" : ""}`);
    shouting = await startServer({
      db: engine.connect(await engine.createLocation()),
      os: { agnoCompat: true },
    });
  });
  afterAll(() => Promise.all([server.close(), shouting.close()]));

  const run = async (message: string) =>
    (await server.run({ message, session_id: "s", user_id: "ada", stream: false })).json();
  const get = (path: string) => fetch(`${server.url}/agents/copilot/runs${path}`);
  const inputs = async (answer: Response) =>
    (await answer.json()).map(({ run_input }: { run_input: string }) => run_input.slice(0, 2));

  test("a run is read as it was answered", async () => {
    const answer = await (await server.run({ message: "hi", stream: false, metadata: { a: 1 } })).json();
    const read = await (await get(`/${answer.run_id}`)).json();
    expect(read).toEqual({ ...answer, updated_at: expect.any(Number), events: [] });
  });

  test("a session or user that is given must be the run's", async () => {
    const { run_id } = (await (await get("?session_id=s")).json())[0];
    for (const query of ["", "?session_id=s", "?user_id=ada", "?session_id=s&user_id=ada", "?session_id="]) {
      expect([query, (await get(`/${run_id}${query}`)).status]).toEqual([query, 200]);
    }
    for (const query of ["?session_id=other", "?user_id=eve", "?session_id=s&user_id=eve"]) {
      expect([query, (await get(`/${run_id}${query}`)).status]).toEqual([query, 404]);
    }
    expect((await fetch(`${server.url}/agents/nobody/runs/${run_id}`)).status).toBe(404);
    expect((await get("/run_unknown")).status).toBe(404);
  });

  test("a list is oldest first, and the newest of it where a limit is given", async () => {
    expect(await inputs(await get("?session_id=s"))).toEqual(["m0", "m1", "m2", "m3", "m4"]);
    expect(await inputs(await get("?session_id=s&limit=2"))).toEqual(["m3", "m4"]);
    expect(await inputs(await get("?session_id=unknown"))).toEqual([]);
    expect(await inputs(await get("?session_id=s&user_id=eve"))).toEqual([]);
  });

  test("the links lead through all pages, each run once", async () => {
    const pages: string[][] = [];
    let url: string | undefined = `${server.url}/agents/copilot/runs?session_id=s&limit=2`;
    while (url) {
      const answer: Response = await fetch(url);
      const link = /<([^>]*)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
      url = link === undefined ? undefined : new URL(link, url).href;
      pages.push(await inputs(answer));
    }
    expect(pages).toEqual([["m3", "m4"], ["m1", "m2"], ["m0"]]);
  });

  test("a list that fits its limit has no link", async () => {
    expect((await get("?session_id=s&limit=5")).headers.get("link")).toBe(null);
  });

  test.each(["error", "ERROR", "Error"])("the status filter takes %s", async (status) => {
    expect(await inputs(await get(`?session_id=s&status=${status}`))).toEqual(["m2"]);
  });

  test("a filter and pages go together", async () => {
    const answer = await get("?session_id=s&status=completed&limit=2");
    expect(await inputs(answer)).toEqual(["m3", "m4"]);
    const link = /<([^>]*)>/.exec(answer.headers.get("link") ?? "")?.[1] ?? "";
    expect(await inputs(await fetch(new URL(link, answer.url)))).toEqual(["m0", "m1"]);
  });

  test("a run that is under way is read as far as it is", async () => {
    const response = await server.run({ message: "[[delay=20]] [[tokens=1000]]", session_id: "live" });
    const reader = response.body!.getReader();
    await readUntil(reader, "word5 ");
    const [listed] = await (await get("?session_id=live&status=running")).json();
    const read = await (await get(`/${listed.run_id}`)).json();
    expect(read.status).toBe("running");
    expect(read.content).toMatch(/^word0 word1 .*word5 /);
    await reader.cancel();
  });

  test("with agnoCompat a status is in upper case wherever it is written, and taken in either", async () => {
    const answer = await (await shouting.run({ message: "hi", session_id: "s", stream: false })).json();
    expect(answer.status).toBe("COMPLETED");
    const at = `${shouting.url}/agents/copilot/runs`;
    expect((await (await fetch(`${at}/${answer.run_id}`)).json()).status).toBe("COMPLETED");
    for (const filter of ["", "&status=completed", "&status=COMPLETED"]) {
      expect(await (await fetch(`${at}?session_id=s${filter}`)).json()).toMatchObject([
        { status: "COMPLETED" },
      ]);
    }
    const failed = await (await shouting.run({ message: "[[error=400]]", stream: false })).json();
    expect(failed.status).toBe("ERROR");
  });
});
