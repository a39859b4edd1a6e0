import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";
import { bearer, createIssuer, inSeconds, sign } from "../support/tokens.ts";

/** Whatever is sent: no 5xx, no hang, and the server is still there. */

interface Operation {
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}
interface Schema {
  $ref?: string;
  properties?: Record<string, Schema>;
}

const issuer = createIssuer();
let server: TestServer;
let admin: Record<string, string>;
let document: {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};

beforeAll(async () => {
  server = await startServer({
    agent: { enableAgenticMemory: true },
    os: { authorization: { verificationKeys: issuer.pem, algorithms: ["RS256"], cookie: true } },
  });
  admin = bearer(await sign(issuer.privateKey, { sub: "root", scopes: ["agent_os:admin"] }));
  document = await (await fetch(`${server.url}/openapi.json`)).json();
});
afterAll(async () => {
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  await server.close();
});

async function send(path: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(server.url + path, { ...init, signal: AbortSignal.timeout(10_000) });
  const text = await answer.text();
  expect(answer.status, `${init.method} ${path}: ${text.slice(0, 300)}`).toBeLessThan(500);
  expect(text).not.toMatch(/node_modules|at .*\.[jt]s:\d/);
  return answer;
}

/** Bytes that can stand in a header. */
const headerText = fc.string({
  unit: fc
    .integer({ min: 0x20, max: 0xff })
    .filter((code) => code !== 0x7f)
    .map((code) => String.fromCharCode(code)),
  maxLength: 200,
});
const base64url = fc.string({ maxLength: 60 }).map((text) => Buffer.from(text).toString("base64url"));
const json = fc.jsonValue({ maxDepth: 4 });
const encoded = (value: fc.Arbitrary<unknown>) =>
  value.map((one) => Buffer.from(JSON.stringify(one) ?? "").toString("base64url"));
const header = fc.record(
  {
    alg: fc.oneof(fc.constantFrom("RS256", "HS256", "none", "None", "NONE", "ES256", "EdDSA", "RS512"), json),
    typ: json,
    kid: json,
    crit: json,
    b64: json,
    jwk: json,
    jku: fc.constantFrom("http://127.0.0.1:1/jwks", "file:///etc/passwd"),
    zip: fc.constant("DEF"),
  },
  { requiredKeys: [] },
);

test("the parser of tokens takes anything, and takes nothing for a token", async () => {
  const token = fc.oneof(
    fc.tuple(encoded(header), encoded(json), base64url).map((parts) => parts.join(".")),
    fc.array(base64url, { maxLength: 7 }).map((parts) => parts.join(".")),
    fc.constantFrom(
      ".",
      "..",
      "...",
      "a..b",
      "e30.e30.",
      "e30.e30.e30",
      "agentos_sa_",
      `agentos_sa_${"0".repeat(24)}_`,
    ),
  );
  await fc.assert(
    fc.asyncProperty(token, async (one) => {
      const answer = await send("/agents", { method: "GET", headers: { authorization: `Bearer ${one}` } });
      expect([401, 429]).toContain(answer.status);
    }),
    { numRuns: 400 },
  );
});

test("so does what reads the header and the cookie", async () => {
  await fc.assert(
    fc.asyncProperty(headerText, headerText, async (authorization, cookie) => {
      for (const headers of [
        { authorization },
        { cookie },
        { authorization, cookie: `access_token=${cookie}` },
      ]) {
        const answer = await send("/agents", { method: "GET", headers });
        expect([401, 429]).toContain(answer.status);
      }
    }),
    { numRuns: 200 },
  );
});

test("a token with any byte changed is none", async () => {
  const good = await sign(issuer.privateKey, { sub: "ada", scopes: ["agents:read"] });
  const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 2), fc.constantFrom(...base64, "."), async (at, char) => {
      fc.pre(good[at] !== char);
      const answer = await send("/agents", {
        method: "GET",
        headers: bearer(good.slice(0, at) + char + good.slice(at + 1)),
      });
      expect(answer.status).toBe(401);
    }),
    { numRuns: 300 },
  );
});

test("claims of a signed token may be anything", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record(
        { sub: json, session_id: json, scopes: json, scope: json, jti: json, aud: json, nbf: json },
        { requiredKeys: [] },
      ),
      async (claims) => {
        // jose refuses to sign what is no time.
        const { nbf: _, ...rest } = claims;
        const token = await sign(issuer.privateKey, { ...rest, exp: inSeconds(60) });
        const answer = await send("/sessions", { method: "GET", headers: bearer(token) });
        expect([200, 401, 403]).toContain(answer.status);
      },
    ),
    { numRuns: 200 },
  );
});

const nasty = fc.constantFrom<unknown>(
  null,
  "",
  " ",
  0,
  -1,
  1e308,
  true,
  [],
  {},
  "\u0000",
  "\ud800",
  "a".repeat(300),
  "'; DROP TABLE runs; --",
  "__proto__",
  "constructor",
  { __proto__: { admin: true } },
  [[]],
  ["", null],
  "../../etc/passwd",
  "😀",
  "\r\ndata: x",
);
const value = fc.oneof(nasty, fc.jsonValue({ maxDepth: 3 }), fc.string({ unit: "binary", maxLength: 40 }));

describe("every body of the document", () => {
  test("may hold anything, of any type", async () => {
    const bodies = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, operation]) =>
        operation.requestBody ? [{ path, method, content: operation.requestBody.content }] : [],
      ),
    );
    expect(bodies.length).toBeGreaterThan(9);
    for (const { path, method, content } of bodies) {
      const schema = Object.values(content)[0]!.schema;
      const { properties = {} } = schema.$ref
        ? document.components.schemas[schema.$ref.split("/").at(-1)!]!
        : schema;
      const names = Object.keys(properties);
      const body = fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] }),
        },
        { weight: 1, arbitrary: fc.dictionary(fc.string({ maxLength: 12 }), value, { maxKeys: 5 }) },
        { weight: 1, arbitrary: value },
      );
      const filled = path.replace("{agent_id}", "copilot").replace(/\{\w+\}/g, "none");
      await fc.assert(
        fc.asyncProperty(body, fc.boolean(), async (given, asForm) => {
          // Runs that last are not what is tried here.
          const one = isObject(given) && "stream" in given ? { ...given, stream: false } : given;
          const form = asForm && isObject(one) ? new URLSearchParams(texts(one)) : undefined;
          await send(filled, {
            method: method.toUpperCase(),
            headers: { ...admin, ...(!form && { "content-type": "application/json" }) },
            body: form ?? JSON.stringify(one) ?? "",
          });
        }),
        { numRuns: 40 },
      );
    }
  }, 120_000);

  test("may be cut, doubled, or no JSON at all", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("/agents/copilot/runs", "/sessions", "/memories", "/service-accounts"),
        fc.constantFrom(
          "application/json",
          "application/json; charset=utf-7",
          "multipart/form-data; boundary=X",
          "application/x-www-form-urlencoded",
          "text/plain",
          ";",
        ),
        fc.uint8Array({ maxLength: 300 }),
        async (path, type, bytes) => {
          await send(path, {
            method: "POST",
            headers: { ...admin, "content-type": type },
            body: Buffer.from(bytes),
          });
        },
      ),
      { numRuns: 150 },
    );
  });
});

test("every parameter of the document may hold anything", async () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 30 }), nasty.map(String));
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, { parameters = [] }] of Object.entries(methods)) {
      if (parameters.length === 0) continue;
      const filled = fc.record(Object.fromEntries(parameters.map(({ name }) => [name, text])), {
        requiredKeys: parameters.filter((one) => one.in === "path").map(({ name }) => name),
      });
      await fc.assert(
        fc.asyncProperty(filled, async (values) => {
          const given = (where: string) => parameters.filter((one) => one.in === where && one.name in values);
          const at = given("path").reduce(
            (all, { name }) =>
              all.replace(`{${name}}`, () => encodeURIComponent(values[name]!.toWellFormed()) || "x"),
            path,
          );
          const query = new URLSearchParams(given("query").map(({ name }) => [name, values[name]!]));
          await send(`${at}?${query}`, { method: method.toUpperCase(), headers: admin });
        }),
        { numRuns: 15 },
      );
    }
  }
}, 120_000);

function isObject(given: unknown): given is Record<string, unknown> {
  return typeof given === "object" && given !== null && !Array.isArray(given);
}

function texts(given: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, one]) => [
      name,
      typeof one === "string" ? one : (JSON.stringify(one) ?? ""),
    ]),
  );
}
