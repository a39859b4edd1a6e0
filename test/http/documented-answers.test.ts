import { tool } from "agentos-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { engines } from "../support/engines.ts";
import { framesOf } from "../support/read-events.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { bearer, sign } from "../support/tokens.ts";
import { Traces } from "../support/traces.ts";

/** That every operation of the OpenAPI document answers what the document says, fine or not. */

interface Schema {
  $ref?: string;
  example?: unknown;
  type?: string | string[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
}
interface Described {
  description: string;
  content?: Record<string, { schema: Schema }>;
}
interface Operation {
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, Described>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

let server: TestServer;
let document: Document;
let runId: string;
let failedId: string;
let mediaId: string;
let memoryId: string;
let traceId: string;

const send = (method: string, path: string, body?: object) =>
  fetch(server.url + path, {
    method,
    ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });

const toolCall = '[[tool=add {"a":1,"b":2}]]';

beforeAll(async () => {
  const add = tool({
    name: "add",
    description: "Adds two numbers.",
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    execute: ({ a, b }) => a + b,
  });
  const [sqlite] = engines;
  server = await startServer({
    db: sqlite!.connect(await sqlite!.createLocation()),
    agent: { tools: [add], enableAgenticMemory: true, enableSessionSummaries: true },
    os: { name: "Acme" },
  });
  document = await (await send("GET", "/openapi.json")).json();
  const form = new FormData();
  const message = `hi ${toolCall} [[reason=hmm]]`;
  const fields = { message, stream: "false", session_id: "s", user_id: "ada", metadata: '{"a":1}' };
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  form.set("files", new File(["notes"], "notes.txt", { type: "text/plain" }));
  const run = await (await fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: form })).json();
  runId = run.run_id;
  mediaId = run.input.files[0].id;
  const background = { message: "no [[error=400]]", background: true };
  failedId = (await (await send("POST", "/agents/copilot/runs", background)).json()).run_id;
  await (await send("POST", `/agents/copilot/runs/${failedId}/resume`)).text();
  const memory = { memory: "Likes tea", user_id: "ada", topics: ["drinks"] };
  traceId = (await new Traces(server.url).ofRun(runId)).trace_id;
  memoryId = (await (await send("POST", "/memories", memory)).json()).memory_id;
});
/** Accounts are made where callers have names. */
const secret = "a secret of this test alone, and of 32 bytes";
let locked: TestServer;
let admin: Record<string, string>;

beforeAll(async () => {
  const authorization = { verificationKeys: secret, algorithms: ["HS256" as const] };
  locked = await startServer({ os: { authorization } });
  admin = bearer(await sign(secret, { sub: "ada", scopes: ["agent_os:admin"] }));
});
afterAll(async () => {
  await server.close();
  await locked.close();
});

const sendLocked = (method: string, path: string, body?: object) =>
  fetch(locked.url + path, {
    method,
    headers: { ...admin, ...(body && { "content-type": "application/json" }) },
    ...(body && { body: JSON.stringify(body) }),
  });

type Call = () => Promise<Response>;

const long = "x".repeat(256);

/** A call of each operation that is fine, and one that is not: none where nothing can be wrong. */
const calls: Record<string, [fine: Call, wrong: Call | undefined]> = {
  "get /": [() => send("GET", "/"), undefined],
  "get /docs": [() => send("GET", "/docs"), undefined],
  "get /openapi.json": [() => send("GET", "/openapi.json"), undefined],
  "get /health": [() => send("GET", "/health?ready=true"), () => send("GET", "/health?ready=perhaps")],
  "get /readyz": [() => send("GET", "/readyz"), undefined],
  "get /info": [() => send("GET", "/info"), undefined],
  "get /config": [() => send("GET", "/config"), undefined],
  "get /agents": [() => send("GET", "/agents"), undefined],
  "get /teams": [() => send("GET", "/teams"), undefined],
  "get /workflows": [() => send("GET", "/workflows"), undefined],
  "get /agents/{agent_id}": [() => send("GET", "/agents/copilot"), () => send("GET", `/agents/${long}`)],
  "post /agents/{agent_id}/runs": [
    () => send("POST", "/agents/copilot/runs", { message: "hi", stream: false }),
    () => send("POST", "/agents/copilot/runs", { message: "" }),
  ],
  "get /agents/{agent_id}/runs": [
    () => send("GET", "/agents/copilot/runs?session_id=s"),
    () => send("GET", "/agents/copilot/runs"),
  ],
  "get /agents/{agent_id}/runs/{run_id}": [
    () => send("GET", `/agents/copilot/runs/${runId}`),
    () => send("GET", "/agents/copilot/runs/none"),
  ],
  "post /agents/{agent_id}/runs/{run_id}/resume": [
    () => send("POST", `/agents/copilot/runs/${runId}/resume`),
    () => send("POST", `/agents/copilot/runs/${runId}/resume?last_event_index=x`),
  ],
  "get /agents/{agent_id}/runs/{run_id}/resume": [
    () => send("GET", `/agents/copilot/runs/${runId}/resume`),
    () => send("GET", "/agents/copilot/runs/%00/resume"),
  ],
  "post /agents/{agent_id}/runs/{run_id}/cancel": [
    () => send("POST", `/agents/copilot/runs/${runId}/cancel`),
    () => send("POST", "/agents/copilot/runs/none/cancel"),
  ],
  "post /agents/{agent_id}/runs/{run_id}/continue": [
    () => send("POST", `/agents/copilot/runs/${runId}/continue`, { input: "and then?", stream: false }),
    () => send("POST", `/agents/copilot/runs/${runId}/continue`, { continue_from: "yesterday" }),
  ],
  "get /agents/{agent_id}/runs/{run_id}/checkpoints": [
    () => send("GET", `/agents/copilot/runs/${runId}/checkpoints`),
    () => send("GET", "/agents/copilot/runs/none/checkpoints"),
  ],
  "get /agents/{agent_id}/runs/{run_id}/checkpoints/{message_index}": [
    () => send("GET", `/agents/copilot/runs/${runId}/checkpoints/2`),
    () => send("GET", `/agents/copilot/runs/${runId}/checkpoints/999`),
  ],
  "get /queue/stats": [() => send("GET", "/queue/stats"), undefined],
  "get /queue/nodes": [() => send("GET", "/queue/nodes"), undefined],
  "get /queue/jobs": [
    () => send("GET", "/queue/jobs?status=failed,completed"),
    () => send("GET", "/queue/jobs?status=lost"),
  ],
  "get /queue/jobs/{job_id}": [
    () => send("GET", `/queue/jobs/${failedId}`),
    () => send("GET", "/queue/jobs/none"),
  ],
  "post /queue/jobs/{job_id}/requeue": [
    () => send("POST", `/queue/jobs/${failedId}/requeue`),
    () => send("POST", "/queue/jobs/none/requeue"),
  ],
  "get /media/{media_id}": [() => send("GET", `/media/${mediaId}`), () => send("GET", "/media/%00")],
  "post /sessions": [
    () => send("POST", "/sessions", { session_name: "Launch", user_id: "ada" }),
    () => send("POST", "/sessions", { colour: "red" }),
  ],
  "get /sessions": [() => send("GET", "/sessions?search=hi"), () => send("GET", "/sessions?limit=0")],
  "delete /sessions": [
    () => send("DELETE", "/sessions", { session_ids: ["none"], session_types: ["agent"] }),
    () => send("DELETE", "/sessions", { session_ids: ["none"], session_types: [] }),
  ],
  "get /sessions/{session_id}": [() => send("GET", "/sessions/s"), () => send("GET", "/sessions/none")],
  "patch /sessions/{session_id}": [
    () => send("PATCH", "/sessions/s", { metadata: { a: 1 }, summary: { summary: "Said hi." } }),
    () => send("PATCH", "/sessions/s", { session_name: 5 }),
  ],
  "delete /sessions/{session_id}": [
    () => send("DELETE", "/sessions/none"),
    () => send("DELETE", "/sessions/%00"),
  ],
  "post /sessions/{session_id}/rename": [
    () => send("POST", "/sessions/s/rename", { session_name: "Greetings" }),
    () => send("POST", "/sessions/s/rename", {}),
  ],
  "get /sessions/{session_id}/runs": [
    () => send("GET", "/sessions/s/runs"),
    () => send("GET", "/sessions/none/runs"),
  ],
  "get /sessions/{session_id}/run-previews": [
    () => send("GET", "/sessions/s/run-previews"),
    () => send("GET", "/sessions/s/run-previews?status=done"),
  ],
  "get /sessions/{session_id}/runs/{run_id}": [
    () => send("GET", `/sessions/s/runs/${runId}`),
    () => send("GET", "/sessions/s/runs/none"),
  ],
  "post /agents/{agent_id}/sessions/{session_id}/fork": [
    () => send("POST", "/agents/copilot/sessions/s/fork"),
    () => send("POST", "/agents/copilot/sessions/none/fork"),
  ],
  "get /sessions/{session_id}/stream": [
    () => send("GET", `/sessions/s/stream?last_event_id=${runId}:0`),
    () => send("GET", "/sessions/none/stream"),
  ],
  "post /agents/{agent_id}/sessions/{session_id}/compact": [
    () => send("POST", "/agents/copilot/sessions/s/compact"),
    () => send("POST", "/agents/copilot/sessions/none/compact"),
  ],
  "post /memories": [
    () => send("POST", "/memories", { memory: "Likes coffee too", user_id: "ada" }),
    () => send("POST", "/memories", { memory: "Whose?" }),
  ],
  "get /memories": [() => send("GET", "/memories?user_id=ada"), () => send("GET", "/memories?page=0")],
  "delete /memories": [
    () => send("DELETE", "/memories", { memory_ids: ["none"] }),
    () => send("DELETE", "/memories", { memory_ids: [] }),
  ],
  "get /memories/{memory_id}": [
    () => send("GET", `/memories/${memoryId}`),
    () => send("GET", "/memories/none"),
  ],
  "patch /memories/{memory_id}": [
    () => send("PATCH", `/memories/${memoryId}`, { memory: "Likes green tea" }),
    () => send("PATCH", `/memories/${memoryId}`, {}),
  ],
  "delete /memories/{memory_id}": [
    () => send("DELETE", "/memories/none"),
    () => send("DELETE", "/memories/none?db_id=other"),
  ],
  "get /memory_topics": [
    () => send("GET", "/memory_topics?user_id=ada"),
    () => send("GET", "/memory_topics?db_id=other"),
  ],
  "get /user_memory_stats": [
    () => send("GET", "/user_memory_stats"),
    () => send("GET", "/user_memory_stats?limit=x"),
  ],
  "post /optimize-memories": [
    () => send("POST", "/optimize-memories", { user_id: "ada", apply: false }),
    () => send("POST", "/optimize-memories", { user_id: "nobody" }),
  ],
  "get /users/{user_id}/export": [
    () => send("GET", "/users/ada/export"),
    () => send("GET", "/users/%00/export"),
  ],
  "post /service-accounts": [
    () => sendLocked("POST", "/service-accounts", { name: "nightly" }),
    () => send("POST", "/service-accounts", { name: "nightly" }),
  ],
  "get /service-accounts": [
    () => sendLocked("GET", "/service-accounts"),
    () => sendLocked("GET", "/service-accounts?limit=0"),
  ],
  "delete /service-accounts/{account_id}": [
    () => sendLocked("DELETE", "/service-accounts/none"),
    () => sendLocked("DELETE", "/service-accounts/%00"),
  ],
  "get /audit-log": [() => sendLocked("GET", "/audit-log"), () => sendLocked("GET", "/audit-log?limit=0")],
  "get /traces": [() => send("GET", "/traces?user_id=ada"), () => send("GET", "/traces?start_time=soon")],
  "get /traces/filter-schema": [
    () => send("GET", "/traces/filter-schema"),
    () => send("GET", "/traces/filter-schema?db_id=other"),
  ],
  "get /traces/{trace_id}": [
    () => send("GET", `/traces/${traceId}`),
    () => send("GET", `/traces/${traceId}?span_id=none`),
  ],
  "get /trace_session_stats": [
    () => send("GET", "/trace_session_stats"),
    () => send("GET", "/trace_session_stats?limit=0"),
  ],
  "post /traces/search": [
    () => send("POST", "/traces/search", {}),
    () => send("POST", "/traces/search", { filter: { op: "EQ", key: "shoe_size", value: 1 } }),
  ],
  "get /metrics": [() => send("GET", "/metrics"), () => send("GET", "/metrics?starting_date=soon")],
  "post /metrics/refresh": [
    () => send("POST", "/metrics/refresh"),
    () => send("POST", "/metrics/refresh?db_id=other"),
  ],
  "get /metrics/refresh/status": [
    () => send("GET", "/metrics/refresh/status"),
    () => send("GET", "/metrics/refresh/status?db_id=other"),
  ],
  "get /metrics/prometheus": [() => send("GET", "/metrics/prometheus"), undefined],
  "delete /users/{user_id}": [() => send("DELETE", "/users/nobody"), () => send("DELETE", "/users/%00")],
};

test("every operation of the document is called here", () => {
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(Object.keys(calls).toSorted()).toEqual(documented.toSorted());
});

describe.each(Object.entries(calls))("%s", (name, [fine, wrong]) => {
  const operation = () => {
    const [method, path] = name.split(" ") as [string, string];
    return document.paths[path]![method]!;
  };

  test("what it answers is what is documented", async () => {
    const answer = await fine();
    expect(answer.status).toBeLessThan(300);
    await mustBeDocumented(operation(), answer);
  });

  test.runIf(wrong)("an error is one that is documented", async () => {
    const answer = await wrong!();
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    await mustBeDocumented(operation(), answer);
  });

  test("its bodies have examples, and each fits its schema", () => {
    const { requestBody, responses } = operation();
    for (const { content = {} } of [requestBody ?? {}, ...Object.values(responses)]) {
      for (const [type, { schema }] of Object.entries(content)) {
        const example = exampleOf(schema);
        expect(example, type).toBeDefined();
        expect(faultsOf(schema, example), type).toEqual([]);
      }
    }
  });
});

test("a run that is streamed answers the events that are documented", async () => {
  const answer = await server.run({ message: `hi ${toolCall} [[reason=hmm]]` });
  await mustBeDocumented(document.paths["/agents/{agent_id}/runs"]!["post"]!, answer);
});

async function mustBeDocumented({ responses }: Operation, answer: Response): Promise<void> {
  expect(Object.keys(responses)).toContain(String(answer.status));
  const { content = {} } = responses[answer.status]!;
  const type = answer.headers.get("content-type")?.split(";")[0] ?? "";
  const text = await answer.text();
  if (Object.keys(content).length === 0) {
    expect(text).toBe("");
    return;
  }
  const described = content[type] ?? content["*/*"];
  expect(described, `${type} is not documented`).toBeDefined();
  const { schema } = described!;
  const values =
    type === "text/event-stream"
      ? framesOf(text).map(({ data }) => data)
      : [type === "application/json" ? JSON.parse(text) : text];
  expect(values.length).toBeGreaterThan(0);
  for (const value of values) expect(faultsOf(schema, value), JSON.stringify(value)).toEqual([]);
}

function resolved(schema: Schema): Schema {
  return schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split("/").at(-1)!]!;
}

/** The example that a reader is shown: its own, or one that is put together from those of its parts. */
function exampleOf(schema: Schema): unknown {
  const { example, items, properties } = resolved(schema);
  if (example !== undefined) return example;
  if (items) {
    const one = exampleOf(items);
    return one === undefined ? undefined : [one];
  }
  if (!properties) return undefined;
  const parts = Object.entries(properties).flatMap(([name, part]) => {
    const value = exampleOf(part);
    return value === undefined ? [] : [[name, value] as const];
  });
  return parts.length === 0 ? undefined : Object.fromEntries(parts);
}

function faultsOf(schema: Schema, value: unknown): string[] {
  const { error } = z.fromJSONSchema(inlined(schema)).safeParse(value);
  return error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
}

/** A schema without references, in which a field that is not documented is a fault. */
function inlined(schema: Schema): Parameters<typeof z.fromJSONSchema>[0] {
  return JSON.parse(
    JSON.stringify(schema, (key, value: unknown) => {
      if (typeof value !== "object" || value === null || key === "example") return value;
      const one = value as Schema;
      if (one.$ref !== undefined) return inlined(document.components.schemas[one.$ref.split("/").at(-1)!]!);
      const isClosed =
        one.type === "object" && one.properties !== undefined && one.additionalProperties === undefined;
      return isClosed ? { ...one, additionalProperties: false } : value;
    }),
  );
}
