import { AgentOSClient, type RunEvent, type ToolDecision } from "agentos-ts/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { wipe } from "../support/run-tools.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** That the client has a method for each operation of the server, with each of its fields, and that each method works. */

interface Operation {
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}
interface Schema {
  $ref?: string;
  properties?: Record<string, unknown>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

/** Operations that need no method. */
const without = [
  // A page for people.
  "get /docs",
  // For a browser's EventSource; `runs.resume` does the same by POST.
  "get /agents/{agent_id}/runs/{run_id}/resume",
];

/** Fields that need no option: they have one value that makes sense, or none. */
const implied = [
  "db_id",
  "delete_media",
  "type",
  "component_id",
  "team_id",
  "workflow_id",
  // Which method is called says it.
  "stream",
];

/** Methods of operations that the server does not have yet. */
const awaited = [
  "metrics.get",
  "metrics.prometheus",
  "metrics.refresh",
  "metrics.refreshInBackground",
  "metrics.refreshStatus",
  "serviceAccounts.create",
  "serviceAccounts.list",
  "serviceAccounts.revoke",
  "sessions.follow",
  "system.auditLog",
  "traces.filterSchema",
  "traces.get",
  "traces.list",
  "traces.search",
  "traces.searchSessions",
  "traces.sessionStats",
  "traces.span",
];

let server: TestServer;
let client: AgentOSClient;
let document: Document;
let runId: string;
let mediaId: string;
let memoryId: string;

/** The fields that were sent to each operation, in the query and in the body. */
const sent = new Map<string, Set<string>>();

beforeAll(async () => {
  const [engine] = engines;
  const db = engine!.connect(await engine!.createLocation());
  server = await startServer({
    db,
    agent: { enableAgenticMemory: true, enableSessionSummaries: true, tools: [wipe] },
  });
  client = new AgentOSClient({ baseUrl: server.url, fetch: recorded });
  document = (await client.system.openapi()) as Document;
  const run = await client.agents.run("copilot", "hi", {
    sessionId: "s",
    userId: "ada",
    files: [new File(["notes"], "notes.txt", { type: "text/plain" })],
  });
  runId = run.run_id;
  mediaId = run.input.files![0]!.id;
  memoryId = (await client.memories.create("Likes tea", { userId: "ada" })).memory_id;
});
afterAll(() => server.close());

const recorded: typeof fetch = (input, init) => {
  const { pathname, searchParams } = new URL(String(input));
  const named = fieldsOf(init?.body).concat(...searchParams.keys());
  const call = `${init?.method?.toLowerCase()} ${pathname}`;
  sent.set(call, new Set([...(sent.get(call) ?? []), ...named]));
  return fetch(input, init);
};

function fieldsOf(body: RequestInit["body"]): string[] {
  if (body instanceof FormData) return [...body.keys()];
  return typeof body === "string" ? Object.keys(JSON.parse(body)) : [];
}

const ada = { userId: "ada" };
const page = { page: 1, limit: 5 };
const runList = { ...ada, status: "completed", limit: 5, cursor: "999999" } as const;
const inSession = { ...runList, createdAfter: 1, createdBefore: 9_999_999_999 };
const full = {
  sessionId: "s",
  userId: "ada",
  sessionState: { a: 1 },
  dependencies: { b: 2 },
  metadata: { c: 3 },
  onBusy: "parallel",
} as const;
const schema = {
  title: "Answer",
  type: "object",
  properties: { answer: { type: "string" } },
  required: ["answer"],
};

async function outline(events: AsyncIterable<RunEvent>): Promise<string[]> {
  const names = new Set<string>();
  for await (const { event } of events) names.add(event);
  return [...names];
}

/** A run that waits for a decision, and what is decided. */
async function paused(): Promise<[runId: string, decided: { tools: ToolDecision[] }]> {
  const run = await client.agents.run("copilot", 'do [[tool=wipe {"path":"a"}]]', { ...ada, sessionId: "s" });
  return [run.run_id, { tools: run.tools.map((one) => ({ ...one, confirmed: true })) }];
}

/** A call of each method with all that it takes, and what it answers. */
const calls: Record<string, [call: () => Promise<unknown>, answer: unknown]> = {
  "system.home": [() => client.system.home(), { name: "AgentOS" }],
  "system.health": [() => client.system.health({ ready: true }), { status: "ok" }],
  "system.ready": [() => client.system.ready(), { status: "ready" }],
  "system.info": [() => client.system.info(), { agent_count: 1 }],
  "system.config": [() => client.system.config(), { agents: [{ id: "copilot" }] }],
  "system.openapi": [() => client.system.openapi(), { openapi: "3.1.0" }],
  "system.teams": [() => client.system.teams(), []],
  "system.workflows": [() => client.system.workflows(), []],
  "agents.list": [() => client.agents.list(), [{ id: "copilot" }]],
  "agents.get": [() => client.agents.get("copilot"), { id: "copilot" }],
  "agents.run": [
    () =>
      client.agents.run("copilot", '[[say={"answer":"yes"}]]', {
        ...full,
        outputSchema: schema,
        cancelOnDisconnect: true,
      }),
    { status: "completed", content: { answer: "yes" }, session_state: { a: 1 }, metadata: { c: 3 } },
  ],
  "agents.stream": [
    () => outline(client.agents.stream("copilot", "hi", { ...full, background: true })),
    expect.arrayContaining(["RunStarted", "RunContent", "RunCompleted"]),
  ],
  "agents.runInBackground": [
    () => client.agents.runInBackground("copilot", "hi", full),
    { run_id: expect.any(String), session_id: "s", status: "pending" },
  ],
  "runs.list": [
    () => client.runs.list("copilot", "s", runList),
    { data: expect.arrayContaining([expect.objectContaining({ run_input: "hi" })]) },
  ],
  "runs.get": [
    () => client.runs.get("copilot", runId, { ...ada, sessionId: "s" }),
    { status: "completed", content: expect.stringContaining("You said: hi") },
  ],
  "runs.cancel": [() => client.runs.cancel("copilot", runId, { ...ada, sessionId: "s" }), undefined],
  "runs.resume": [
    () => outline(client.runs.resume("copilot", runId, { after: 1 })),
    expect.arrayContaining(["RunContent", "RunCompleted"]),
  ],
  "runs.continue": [
    async () => {
      const again = { regenerate: true, replaceOriginal: false, additionalInstructions: "shorter" };
      await client.runs.continue("copilot", runId, { ...ada, sessionId: "s", ...again });
      const fork = { input: "and then?", continueFrom: "last_user", fork: true } as const;
      await client.runs.continue("copilot", runId, { ...ada, ...fork });
      const [waiting, decided] = await paused();
      return client.runs.continue("copilot", waiting, { ...decided, ...ada, sessionId: "s" });
    },
    { status: "completed", content: "Tool said: wiped a", requirements: [expect.anything()] },
  ],
  "runs.continueStream": [
    async () => {
      const [waiting, decided] = await paused();
      return outline(client.runs.continueStream("copilot", waiting, decided));
    },
    expect.arrayContaining(["RunContinued", "ToolCallCompleted", "RunCompleted"]),
  ],
  "runs.continueInBackground": [
    async () => {
      const [waiting, decided] = await paused();
      const accepted = await client.runs.continueInBackground("copilot", waiting, decided);
      return [accepted.run_id === waiting, await outline(client.runs.resume("copilot", waiting))];
    },
    [true, expect.arrayContaining(["RunPaused", "RunContinued", "RunCompleted"])],
  ],
  "runs.checkpoints": [
    () => client.runs.checkpoints("copilot", runId, { ...ada, sessionId: "s" }),
    expect.arrayContaining([expect.objectContaining({ reason: "end", is_latest: true })]),
  ],
  "runs.checkpoint": [
    () => client.runs.checkpoint("copilot", runId, 1, { ...ada, sessionId: "s" }),
    { checkpoint: { message_index: 1 }, snapshot: { messages: [expect.anything()] } },
  ],
  "media.get": [async () => (await client.media.get(mediaId)).text(), "notes"],
  "sessions.create": [
    () =>
      client.sessions.create({
        ...ada,
        sessionId: "made",
        sessionName: "Launch",
        sessionState: { a: 1 },
        metadata: { b: 2 },
        agentId: "copilot",
      }),
    { session_id: "made", session_name: "Launch", session_state: { a: 1 }, metadata: { b: 2 } },
  ],
  "sessions.list": [
    async () => {
      const order = { sortBy: "updated_at", sortOrder: "asc" } as const;
      const filter = { ...ada, agentId: "copilot", sessionName: "" };
      const first = await client.sessions.list({ ...filter, ...order, ...page, limit: 1 });
      const cursor = first.meta.next_cursor;
      await client.sessions.list({ ...filter, ...order, limit: 1, ...(cursor && { cursor }) });
      return client.sessions.list({ ...filter, search: "hi", ...page });
    },
    { data: [{ session_id: "s", snippet: expect.stringContaining("<mark>") }], meta: { page: 1 } },
  ],
  "sessions.get": [() => client.sessions.get("s", ada), { session_id: "s", user_id: "ada" }],
  "sessions.update": [
    () =>
      client.sessions.update("s", {
        ...ada,
        sessionName: "Changed",
        sessionState: { c: 3 },
        metadata: { d: 4 },
        summary: { summary: "Said hi.", topics: ["greetings"] },
      }),
    { session_name: "Changed", session_state: { c: 3 }, metadata: { d: 4 } },
  ],
  "sessions.rename": [() => client.sessions.rename("s", "Renamed", ada), { session_name: "Renamed" }],
  "sessions.runs": [
    () => client.sessions.runs("s", inSession),
    { data: expect.arrayContaining([expect.objectContaining({ run_input: "hi" })]) },
  ],
  "sessions.runPreviews": [
    () => client.sessions.runPreviews("s", inSession),
    { data: expect.arrayContaining([expect.objectContaining({ run_input: "hi" })]) },
  ],
  "sessions.run": [() => client.sessions.run("s", runId, ada), { run_input: "hi" }],
  "sessions.fork": [
    () => client.sessions.fork("copilot", "s", { ...ada, upToRunId: runId }),
    { forked_from_session_id: "s" },
  ],
  "sessions.compact": [
    () => client.sessions.compact("copilot", "s", ada),
    { status: expect.any(String), compacted: expect.any(Boolean) },
  ],
  "sessions.delete": [() => client.sessions.delete("none", ada), undefined],
  "sessions.deleteMany": [() => client.sessions.deleteMany(["none", "nothing"], ada), undefined],
  "memories.create": [
    () => client.memories.create("Likes coffee too", { ...ada, topics: ["drinks"] }),
    { memory: "Likes coffee too", topics: ["drinks"], user_id: "ada" },
  ],
  "memories.list": [
    async () => {
      const order = { sortBy: "created_at", sortOrder: "asc" } as const;
      const first = await client.memories.list({ ...ada, ...order, limit: 1, agentId: "" });
      const cursor = first.meta.next_cursor;
      await client.memories.list({ ...order, limit: 1, ...(cursor && { cursor }) });
      return client.memories.list({ ...ada, ...page, searchContent: "coffee", topics: ["drinks"] });
    },
    { data: [{ memory: "Likes coffee too" }], meta: { total_count: 1 } },
  ],
  "memories.get": [() => client.memories.get(memoryId, ada), { memory: "Likes tea" }],
  "memories.update": [
    () => client.memories.update(memoryId, "Likes green tea", { ...ada, topics: ["tea"] }),
    { memory: "Likes green tea", topics: ["tea"] },
  ],
  "memories.topics": [() => client.memories.topics(ada), expect.arrayContaining(["tea", "drinks"])],
  "memories.stats": [
    () => client.memories.stats({ ...ada, ...page }),
    { data: [{ user_id: "ada", total_memories: 2 }] },
  ],
  "memories.optimize": [
    () => client.memories.optimize("ada", { apply: false, model: "gpt-5.5" }),
    { memories_before: 2 },
  ],
  "memories.delete": [() => client.memories.delete("none", ada), undefined],
  "memories.deleteMany": [() => client.memories.deleteMany(["none"], ada), undefined],
  "users.export": [
    async () => {
      const types = new Set<string>();
      for await (const entry of client.users.export("ada")) types.add(entry.type);
      return [...types];
    },
    ["session", "run", "memory"],
  ],
  "users.erase": [() => client.users.erase("nobody"), { runs: 0, memories: 0 }],
};

test("every method of the client is called here, or waits for its operation", () => {
  const methods = Object.entries(client).flatMap(([group, methodsOfGroup]) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(methodsOfGroup))
      .filter((name) => name !== "constructor")
      .map((name) => `${group}.${name}`),
  );
  expect([...Object.keys(calls), ...awaited].toSorted()).toEqual(methods.toSorted());
});

test.each(Object.entries(calls))("%s", async (_, [call, answer]) => {
  const got = await call();
  if (typeof answer === "object" && answer !== null) expect(got).toMatchObject(answer);
  else expect(got).toEqual(answer);
});

describe("of every operation that the server describes", () => {
  /** What was sent to an operation, whatever ids stood in its path. */
  function sentTo(operation: string): Set<string> | undefined {
    const pattern = new RegExp(`^${operation.replaceAll("/", "\\/").replace(/\{\w+\}/g, "[^/]+")}$`);
    const found = [...sent].filter(([call]) => pattern.test(call)).map(([, fields]) => fields);
    return found.length === 0 ? undefined : new Set(found.flatMap((fields) => [...fields]));
  }

  const operations = () =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, operation] as const),
    );

  test("the client has a method", () => {
    const missing = operations()
      .map(([name]) => name)
      .filter((name) => !without.includes(name) && sentTo(name) === undefined);
    expect(missing).toEqual([]);
  });

  test("each field can be sent", () => {
    const missing = operations()
      .filter(([name]) => !without.includes(name))
      .flatMap(([name, { parameters = [], requestBody }]) => {
        const inQuery = parameters.filter((one) => one.in === "query").map((one) => one.name);
        const inBody = Object.values(requestBody?.content ?? {}).flatMap(({ schema }) =>
          propertiesOf(schema),
        );
        const unsent = [...new Set([...inQuery, ...inBody])].filter(
          (field) => !implied.includes(field) && !sentTo(name)?.has(field),
        );
        return unsent.map((field) => `${name}: ${field}`);
      });
    // The user and session of a run that is resumed by its id.
    const resume = "post /agents/{agent_id}/runs/{run_id}/resume";
    expect(missing).toEqual([`${resume}: session_id`, `${resume}: user_id`]);
  });

  function propertiesOf(schema: Schema): string[] {
    const name = schema.$ref?.split("/").at(-1);
    return Object.keys((name === undefined ? schema : document.components.schemas[name])?.properties ?? {});
  }
});
