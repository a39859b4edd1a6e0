import { Agent, AgentOS, EchoModel } from "agentos-ts";
import { describe, expect, test } from "vitest";
import { startProgram, urlOf } from "../start/program.ts";

/** Milliseconds within which a server must answer. */
const limit = 5000;

type Send = (path: string, init: RequestInit) => Response | Promise<Response>;

async function ask(send: Send, output_schema: object, message = "hi") {
  const answer = await send("/agents/copilot/runs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message, stream: false, output_schema }),
  });
  const body = await answer.json();
  return { status: answer.status, body, text: JSON.stringify(body.detail ?? "") };
}

/** Asks a server of its own: what is asked could stop it. Without a key, it answers with the echo model. */
async function askApart(output_schema: object, message?: string) {
  const url = await urlOf(await startProgram("examples/copilot.ts"));
  const send: Send = (path, init) => fetch(url + path, { ...init, signal: AbortSignal.timeout(limit) });
  return ask(send, output_schema, message);
}

function askHere(output_schema: object) {
  const agents = [new Agent({ id: "copilot", model: new EchoModel() })];
  return ask(new AgentOS({ agents, logLevel: "silent" }).getApp().request, output_schema);
}

const object = (properties: object, more: object = {}) => ({ type: "object", properties, ...more });

/** A chain of definitions, each made of the next. */
function chain(length: number, link: (next: object) => object): object {
  const $defs: Record<string, object> = { [`d${length}`]: { type: "string" } };
  for (let i = 0; i < length; i++) $defs[`d${i}`] = link({ $ref: `#/$defs/d${i + 1}` });
  return object({ a: { $ref: "#/$defs/d0" } }, { required: ["a"], $defs });
}

describe("the echo model ends soon on a schema that asks for", () => {
  const strings = { type: "array", items: { type: "string" } };
  const wide = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`p${i}`, { $ref: "#/$defs/node" }]));

  test.each<[string, object]>([
    ["300,000,000 items", object({ a: { ...strings, minItems: 3e8 } })],
    ["a million items", object({ a: { ...strings, minItems: 1e6 } })],
    [
      "lists in lists",
      object({
        a: {
          type: "array",
          minItems: 1e6,
          items: { type: "array", minItems: 1e6, items: { ...strings, minItems: 1e6 } },
        },
      }),
    ],
    ["a text of 10¹² characters", object({ a: { type: "string", minLength: 1e12 } })],
    [
      "ever more of itself",
      object(
        { a: { $ref: "#/$defs/node" } },
        { $defs: { node: object(wide, { required: Object.keys(wide) }) } },
      ),
    ],
  ])("%s", async (_, schema) => {
    const { status, body } = await askApart(schema, "x".repeat(10_000));
    expect(status).toBe(200);
    expect(["completed", "error"]).toContain(body.status);
    expect(body.error_type).not.toBe("internal_error");
  });
});

describe("a schema is refused that", () => {
  test.each(["anyOf", "oneOf", "allOf"])("checks a value in 2³⁰ ways, by %s", async (keyword) => {
    const { status, text } = await askApart(chain(30, (next) => ({ [keyword]: [next, next] })));
    expect(status).toBe(422);
    expect(text).toMatch(/output_schema.*ways/);
  });

  test.each<[string, object, RegExp]>([
    ["is made of nothing but itself", object({}, { $defs: { a: { $ref: "#/$defs/a" } } }), /itself/],
    [
      "is made of itself by two definitions",
      object(
        { x: { $ref: "#/$defs/a" } },
        { $defs: { a: { $ref: "#/$defs/b" }, b: { anyOf: [{ type: "null" }, { $ref: "#/$defs/a" }] } } },
      ),
      /itself/,
    ],
    ["is its own root", object({ a: { $ref: "#" } }, { anyOf: [{ $ref: "#" }] }), /itself/],
    [
      "has too many parts",
      object(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`p${i}`, { type: "string" }]))),
      /parts/,
    ],
    [
      "is nested too deep",
      Array.from({ length: 60 }).reduce<object>((inner) => object({ a: inner }), { type: "string" }),
      /deep/,
    ],
    [
      "names a type twice",
      object({ a: { type: ["object", "object"], properties: { b: { type: "string" } } } }),
      /twice/,
    ],
    [
      "refers to a part of a definition",
      object(
        { a: { $ref: "#/$defs/d/properties/b" } },
        { $defs: { d: object({ b: { type: "string" } }, { required: ["b"] }) } },
      ),
      /\$ref/,
    ],
    [
      "has a pattern under oneOf",
      object({
        a: {
          oneOf: [
            { type: "string", pattern: "^a" },
            { type: "string", pattern: "^b" },
          ],
        },
      }),
      /pattern.*oneOf/,
    ],
    [
      "has a pattern under oneOf, behind a $ref",
      object({ a: { oneOf: [{ $ref: "#/$defs/p" }] } }, { $defs: { p: { type: "string", pattern: "^a" } } }),
      /pattern.*oneOf/,
    ],
    ["has a pattern under not", object({ a: { not: { pattern: "^a" } } }), /pattern.*not/],
    ["has a pattern under if", object({ a: { if: { pattern: "^a" } } }), /pattern.*if/],
    [
      "has a pattern under contains",
      object({ a: { type: "array", contains: { type: "string", pattern: "a" }, maxContains: 1 } }),
      /pattern.*contains/,
    ],
    [
      "has patternProperties and no others",
      object({}, { patternProperties: { "^x-": { type: "string" } }, additionalProperties: false }),
      /patternProperties.*additionalProperties/,
    ],
    ["compares with an object", object({ a: { const: { pattern: "(" } } }), /const/],
    ["compares with a list", object({ a: { enum: [[1], 2] } }), /enum/],
    ["has a broken pattern", object({ a: { type: "string", pattern: "(" } }), /regular expression/],
  ])("%s", async (_, schema, said) => {
    const { status, text } = await askHere(schema);
    expect(status).toBe(422);
    expect(text).toContain("output_schema");
    expect(text).toMatch(said);
  });
});

describe("a schema is taken that", () => {
  const node = {
    anyOf: [
      { type: "null" },
      object(
        { value: { type: "string" }, left: { $ref: "#/$defs/node" }, right: { $ref: "#/$defs/node" } },
        { required: ["value", "left", "right"] },
      ),
    ],
  };

  test.each<[string, object]>([
    ["describes a tree", object({ tree: { $ref: "#/$defs/node" } }, { required: ["tree"], $defs: { node } })],
    ["is its own child", object({ children: { type: "array", items: { $ref: "#" } } })],
    ["has a pattern where one more answer does no harm", object({ a: { type: "string", pattern: "^.*" } })],
    [
      "has properties and values named pattern",
      object({ pattern: { type: "string", enum: ["pattern", "("] } }),
    ],
    ["has data that looks like a pattern", object({ a: { type: "string", examples: [{ pattern: "(" }] } })],
    [
      "defaults to what looks like one",
      object({}, { default: { pattern: "(", patternProperties: { "(": 1 } } }),
    ],
  ])("%s", async (_, schema) => {
    const { status, body } = await askHere(schema);
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: "completed" });
  });
});
