import { createRoute, z } from "@hono/zod-openapi";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

interface Operation {
  operationId?: string;
  summary?: string;
  parameters?: { name: string; in: string; required?: boolean; schema: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}

interface Document {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

let server: TestServer;
let document: Document;

beforeAll(async () => {
  server = await startServer({ os: { name: "Acme" } });
  document = await (await fetch(`${server.url}/openapi.json`)).json();
});
afterAll(() => server.close());

function operations(): [string, string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
      path,
      method,
      operation,
    ]),
  );
}

test("the document is of version 3.1 and names the server", () => {
  expect(document.openapi).toBe("3.1.0");
  expect(document.info).toMatchObject({ title: "Acme", version: "1.0.0" });
});

test("every route of the server is in it", () => {
  const served = server.os
    .getApp()
    .routes.filter(({ method, path }) => method !== "ALL" && !path.startsWith("/docs/"))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
  const documented = operations().map(([path, method]) => `${method.toUpperCase()} ${path}`);
  expect(documented.toSorted()).toEqual([...new Set(served)].toSorted());
  expect(documented).toContain("POST /agents/{agent_id}/runs");
});

test("every reference in it leads somewhere", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref ?? "");
  expect(references.length).toBeGreaterThan(5);
  for (const reference of new Set(references)) {
    const name = /^#\/components\/schemas\/(.+)$/.exec(reference)?.[1] ?? "";
    expect(document.components.schemas, reference).toHaveProperty([name]);
  }
});

test("every operation has a name of its own, a summary, and answers with schemas", () => {
  const names = operations().map(([, , { operationId }]) => operationId);
  expect(new Set(names).size).toBe(names.length);
  for (const [path, method, { operationId, summary, responses }] of operations()) {
    const at = `${method} ${path}`;
    expect(operationId, at).toEqual(expect.any(String));
    expect(summary, at).toEqual(expect.any(String));
    expect(Object.keys(responses), at).toContainEqual(expect.stringMatching(/^20[0124]$/));
    for (const [status, { description, content }] of Object.entries(responses)) {
      expect(description, `${at} ${status}`).not.toBe("");
      if (status === "204") expect(content).toBeUndefined();
      else expect(Object.values(content ?? {})[0]?.schema, `${at} ${status}`).toBeDefined();
    }
  }
});

test("every parameter of a path is described, required, and has a schema", () => {
  for (const [path, method, { parameters = [] }] of operations()) {
    const inPath = parameters.filter((parameter) => parameter.in === "path");
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(inPath.map(({ name }) => name).toSorted(), `${method} ${path}`).toEqual(names.toSorted());
    for (const parameter of inPath) expect(parameter.required, path).toBe(true);
    for (const parameter of parameters) expect(parameter.schema, path).toBeDefined();
  }
});

test("errors are described where they can happen", () => {
  const run = document.paths["/agents/{agent_id}/runs"]?.["post"]?.responses ?? {};
  expect(Object.keys(run)).toEqual(["200", "202", "400", "404", "409", "413", "415", "422", "429", "503"]);
  expect(JSON.stringify(run["422"])).toContain("#/components/schemas/Error");
  expect(Object.keys(document.paths["/readyz"]?.["get"]?.responses ?? {})).toContain("503");
});

test("the body of a run is described for each of its three types, with an example", () => {
  const content = document.paths["/agents/{agent_id}/runs"]?.["post"]?.requestBody?.content ?? {};
  expect(Object.keys(content).toSorted()).toEqual([
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
  ]);
  expect(JSON.stringify(document.components.schemas["RunRequest"])).toContain("Summarize this thread");
});

test("what a run answers fits the schema that describes it", async () => {
  const run = await (await server.run({ message: "hi", stream: false })).json();
  const schema = document.components.schemas["Run"] as {
    required: string[];
    properties: Record<string, object>;
  };
  expect(Object.keys(run)).toEqual(expect.arrayContaining(schema.required));
  expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(Object.keys(run)));
  expect(z.fromJSONSchema(inlined(schema)).safeParse(run).error).toBeUndefined();
});

test("a custom route that has a schema is in it as well", async () => {
  const route = createRoute({
    method: "get",
    path: "/custom/{id}",
    request: { params: z.object({ id: z.string() }) },
    responses: { 200: { description: "Fine.", content: { "application/json": { schema: z.object({}) } } } },
  });
  server.os.getApp().openapi(route, (c) => c.json({}, 200));
  const again: Document = await (await fetch(`${server.url}/openapi.json`)).json();
  expect(again.paths).toHaveProperty(["/custom/{id}", "get"]);
});

/** A schema with its references replaced by what they lead to. */
function inlined(schema: object): Parameters<typeof z.fromJSONSchema>[0] {
  const text = JSON.stringify(schema, (_, value: unknown) => {
    const ref = (value as { $ref?: string } | null)?.$ref;
    return ref
      ? JSON.parse(JSON.stringify(inlined(document.components.schemas[ref.split("/").at(-1)!]!)))
      : value;
  });
  return JSON.parse(text);
}
