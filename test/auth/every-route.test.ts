import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";
import { bearer, createIssuer, sign, unsigned } from "../support/tokens.ts";

/** Every route of the OpenAPI document, held against every kind of token. A route that has no row here fails. */

interface Row {
  /** One of these scopes is enough; none: any token is; `open`: none is needed. */
  needs: "open" | "any" | "admin" | readonly string[];
  /** What is sent, where that is more than the path. */
  body?: object;
  query?: string;
}

const run = ["agents:run", "agents:copilot:run", "agents:*:run"];
const read = ["agents:read", "agents:copilot:read", "agents:*:read"];

const rows: Record<string, Row> = {
  "get /": { needs: "any" },
  "get /health": { needs: "open" },
  "get /openapi.json": { needs: "open" },
  "get /readyz": { needs: "any" },
  "get /info": { needs: "any" },
  "get /docs": { needs: "any" },
  "get /config": { needs: ["config:read", "system:read"] },
  "get /agents": { needs: read },
  "get /teams": { needs: ["teams:read"] },
  "get /workflows": { needs: ["workflows:read"] },
  "get /agents/{agent_id}": { needs: read },
  "post /agents/{agent_id}/runs": { needs: run, body: { message: "hi", stream: false } },
  "get /agents/{agent_id}/runs": { needs: [...run, ...read], query: "session_id=none" },
  "get /agents/{agent_id}/runs/{run_id}": { needs: [...run, ...read] },
  "get /agents/{agent_id}/runs/{run_id}/resume": { needs: [...run, ...read] },
  "post /agents/{agent_id}/runs/{run_id}/resume": { needs: [...run, ...read] },
  "post /agents/{agent_id}/runs/{run_id}/cancel": { needs: run },
  "post /agents/{agent_id}/runs/{run_id}/continue": { needs: run, body: {} },
  "get /agents/{agent_id}/runs/{run_id}/checkpoints": { needs: read },
  "get /agents/{agent_id}/runs/{run_id}/checkpoints/{message_index}": { needs: read },
  "post /agents/{agent_id}/sessions/{session_id}/fork": { needs: run },
  "post /agents/{agent_id}/sessions/{session_id}/compact": { needs: run },
  "get /media/{media_id}": { needs: [...run, ...read] },
  "get /sessions": { needs: ["sessions:read", "sessions:*:read"] },
  "post /sessions": { needs: ["sessions:write"], body: {} },
  "delete /sessions": { needs: ["sessions:delete"], body: { session_ids: [], session_types: [] } },
  "get /sessions/{session_id}": { needs: ["sessions:read"] },
  "patch /sessions/{session_id}": { needs: ["sessions:write"], body: { session_name: "n" } },
  "delete /sessions/{session_id}": { needs: ["sessions:delete"] },
  "post /sessions/{session_id}/rename": { needs: ["sessions:write"], body: { session_name: "n" } },
  "get /sessions/{session_id}/runs": { needs: ["sessions:read"] },
  "get /sessions/{session_id}/runs/{run_id}": { needs: ["sessions:read"] },
  "get /sessions/{session_id}/run-previews": { needs: ["sessions:read"] },
  "get /sessions/{session_id}/stream": { needs: [...run, ...read] },
  "get /memories": { needs: ["memories:read"] },
  "post /memories": { needs: ["memories:write"], body: { memory: "tea" } },
  "delete /memories": { needs: ["memories:delete"], body: { memory_ids: ["none"] } },
  "get /memories/{memory_id}": { needs: ["memories:read"] },
  "patch /memories/{memory_id}": { needs: ["memories:write"], body: { memory: "tea", user_id: "ada" } },
  "delete /memories/{memory_id}": { needs: ["memories:delete"] },
  "get /memory_topics": { needs: ["memories:read"] },
  "get /user_memory_stats": { needs: ["memories:read"] },
  "post /optimize-memories": { needs: ["memories:write"], body: { user_id: "nobody", apply: false } },
  "get /users/{user_id}/export": { needs: ["users:read"] },
  "delete /users/{user_id}": { needs: ["users:delete"] },
  "get /service-accounts": { needs: ["service_accounts:read"] },
  "post /service-accounts": { needs: ["service_accounts:write"], body: { name: "Not a name" } },
  "delete /service-accounts/{account_id}": { needs: ["service_accounts:delete"] },
  "get /audit-log": { needs: "admin" },
  "get /traces": { needs: ["traces:read"] },
  "get /traces/filter-schema": { needs: ["traces:read"] },
  "get /traces/{trace_id}": { needs: ["traces:read"] },
  "get /trace_session_stats": { needs: ["traces:read"] },
  "post /traces/search": { needs: ["traces:read"], body: {} },
  "get /metrics": { needs: ["metrics:read"] },
  "post /metrics/refresh": { needs: ["metrics:write"] },
  "get /metrics/refresh/status": { needs: ["metrics:read"] },
  "get /metrics/prometheus": { needs: ["metrics:read"] },
  "get /queue/stats": { needs: "admin" },
  "get /queue/jobs": { needs: "admin" },
  "get /queue/jobs/{job_id}": { needs: "admin" },
  "post /queue/jobs/{job_id}/requeue": { needs: "admin" },
  "get /queue/nodes": { needs: "admin" },
};

const served = Object.entries(rows);
const issuer = createIssuer();
const stranger = createIssuer();
const audience = "acme";
/** Of a family that no route is of: whoever has it may do nothing. */
const other = ["other:read", "other:run", "agents", "agents:", "*", "*:read", "agents:*:*", "admin"];

let server: TestServer;
beforeAll(async () => {
  server = await startServer({
    os: { id: audience, authorization: { verificationKeys: issuer.pem, audience: true } },
  });
});
afterAll(() => server.close());

function token(scopes: readonly string[] | string, claims: object = {}) {
  return sign(issuer.privateKey, { sub: "ada", aud: audience, scopes, ...claims });
}

async function send(name: string, row: Row, headers: Record<string, string>): Promise<Response> {
  const [method, path] = name.split(" ") as [string, string];
  const filled = path
    .replace("{agent_id}", "copilot")
    .replace("{user_id}", "ada")
    .replace("{message_index}", "0")
    .replace(/\{\w+\}/g, "none");
  const answer = await fetch(`${server.url}${filled}${row.query ? `?${row.query}` : ""}`, {
    method: method.toUpperCase(),
    headers: { ...headers, ...(row.body && { "content-type": "application/json" }) },
    ...(row.body && { body: JSON.stringify(row.body) }),
  });
  await answer.clone().arrayBuffer();
  return answer;
}

test("every route of the document has a row, and every row a route", async () => {
  const { paths } = await (await fetch(`${server.url}/openapi.json`)).json();
  const routes = Object.entries<object>(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(routes.toSorted()).toEqual(served.map(([name]) => name).toSorted());
});

/** Tokens that are nobody's. */
const wrong: [string, () => Promise<Record<string, string>>][] = [
  ["no token", async () => ({})],
  ["an empty header", async () => ({ authorization: "" })],
  ["garbage", async () => bearer("garbage")],
  ["another scheme", async () => ({ authorization: "Basic YWRhOmFkYQ==" })],
  ["an expired token", async () => bearer(await token(["agent_os:admin"], { exp: 1_700_000_000 }))],
  ["a token without an end", async () => bearer(await token(["agent_os:admin"], { exp: undefined }))],
  [
    "a token that is not valid yet",
    async () => bearer(await token(["agent_os:admin"], { nbf: 4e9, exp: 5e9 })),
  ],
  [
    "a token of another key",
    async () =>
      bearer(await sign(stranger.privateKey, { sub: "ada", aud: audience, scopes: ["agent_os:admin"] })),
  ],
  ["alg none", async () => bearer(unsigned({ sub: "ada", aud: audience, scopes: ["agent_os:admin"] }))],
  [
    "HS256 with the public key as the secret",
    async () => {
      const head = [
        { alg: "HS256", typ: "JWT" },
        { sub: "ada", aud: audience, exp: 5e9, scopes: ["agent_os:admin"] },
      ]
        .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
        .join(".");
      return bearer(`${head}.${createHmac("sha256", issuer.pem).update(head).digest("base64url")}`);
    },
  ],
  [
    "an algorithm that is not configured",
    async () =>
      bearer(
        await sign(
          issuer.privateKey,
          { sub: "ada", aud: audience, scopes: ["agent_os:admin"] },
          { alg: "PS256" },
        ),
      ),
  ],
  ["another audience", async () => bearer(await token(["agent_os:admin"], { aud: "another" }))],
  ["no audience", async () => bearer(await token(["agent_os:admin"], { aud: undefined }))],
];

describe.each(served)("%s", (name, row) => {
  test("with what is no token of anybody", async () => {
    for (const [what, headers] of wrong) {
      const answer = await send(name, row, await headers());
      if (row.needs === "open") {
        expect(answer.status, what).toBe(200);
        continue;
      }
      expect(answer.status, what).toBe(401);
      expect(answer.headers.get("www-authenticate"), what).toMatch(/^Bearer realm="agentos"/);
      expect(await answer.json(), what).toMatchObject({ detail: expect.any(String) });
    }
  });

  test("with a token that has no scope, or another", async () => {
    for (const scopes of [[], other]) {
      const answer = await send(name, row, bearer(await token(scopes)));
      if (row.needs === "open" || row.needs === "any") {
        expect(answer.status).toBe(200);
        continue;
      }
      expect(answer.status, scopes.join()).toBe(403);
      const { detail } = await answer.json();
      if (row.needs === "admin") expect(detail).toContain("administrator");
      else expect(row.needs.some((scope) => detail.includes(scope))).toBe(true);
    }
  });

  test("with the scope, and as an administrator", async () => {
    const enough = Array.isArray(row.needs) ? row.needs : ["agent_os:admin"];
    for (const scope of [...enough, "agent_os:admin"]) {
      for (const scopes of [[scope], `openid ${scope}`]) {
        const answer = await send(name, row, bearer(await token(scopes)));
        expect([401, 403, 500], `${scope}: ${answer.status}`).not.toContain(answer.status);
      }
    }
  });

  test("with a scope of the same family that is for something else", async () => {
    if (!Array.isArray(row.needs)) return;
    const families = [...new Set(row.needs.map((scope) => scope.split(":")[0]))];
    const actions = ["read", "write", "delete", "run"];
    const others = families
      .flatMap((family) => actions.map((action) => `${family}:${action}`))
      .filter((scope) => !row.needs.includes(scope) && scope !== "system:read");
    const answer = await send(name, row, bearer(await token(others)));
    expect(answer.status).toBe(403);
  });
});
