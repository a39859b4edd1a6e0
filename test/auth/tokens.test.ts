import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, AgentOS, type Algorithm, type AuthorizationOptions, EchoModel, tool } from "agentos-ts";
import { exportJWK } from "jose";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import * as z from "zod";
import { readFrames } from "../support/read-events.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { bearer, createIssuer, type Issuer, inSeconds, issuerOf, sign } from "../support/tokens.ts";

const servers: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((one) => one.close()));
});

const issuer = createIssuer();
const claims = { sub: "ada", scopes: ["agents:read"] };

async function start(authorization: AuthorizationOptions): Promise<TestServer> {
  const server = await startServer({ os: { authorization, drainTimeout: 0 } });
  servers.push(server);
  return server;
}

const ask = async (server: TestServer, token: string) => {
  const answer = await fetch(`${server.url}/agents`, { headers: bearer(token) });
  return { status: answer.status, ...((await answer.json()) as { detail?: string }) };
};

const secret = "a secret of 64 bytes for HS512, which is more than HS256 needs!!";

describe("algorithms", () => {
  const ec = (namedCurve: string) => issuerOf(generateKeyPairSync("ec", { namedCurve }));
  const pairs: [Algorithm, () => Issuer | string][] = [
    ["HS256", () => secret],
    ["HS384", () => secret],
    ["HS512", () => secret],
    ["RS256", () => issuer],
    ["RS384", () => issuer],
    ["RS512", () => issuer],
    ["PS256", () => issuer],
    ["PS384", () => issuer],
    ["PS512", () => issuer],
    ["ES256", () => ec("P-256")],
    ["ES384", () => ec("P-384")],
    ["ES512", () => ec("P-521")],
    ["EdDSA", () => issuerOf(generateKeyPairSync("ed25519"))],
  ];

  test.each(pairs)("%s is taken where it is configured, and nowhere else", async (alg, keyOf) => {
    const key = keyOf();
    const token = await sign(typeof key === "string" ? key : key.privateKey, claims, { alg });
    const verificationKeys = typeof key === "string" ? key : key.pem;
    expect(await ask(await start({ verificationKeys, algorithms: [alg] }), token)).toMatchObject({
      status: 200,
    });
    const elsewhere = alg === "RS256" ? "ES256" : "RS256";
    const another = elsewhere === "RS256" ? createIssuer().pem : ec("P-256").pem;
    const other = await start({ verificationKeys: another, algorithms: [elsewhere] });
    expect(await ask(other, token)).toMatchObject({ status: 401 });
  });

  test("with an asymmetric and a symmetric key, neither is used for the other's algorithms", async () => {
    const server = await start({ verificationKeys: [issuer.pem, secret], algorithms: ["RS256", "HS256"] });
    expect(await ask(server, await sign(issuer.privateKey, claims))).toMatchObject({ status: 200 });
    expect(await ask(server, await sign(secret, claims))).toMatchObject({ status: 200 });
    const confused = await sign(issuer.pem, claims);
    expect(await ask(server, confused)).toMatchObject({
      status: 401,
      detail: "Invalid token: Signature verification failed",
    });
  });
});

describe("claims", () => {
  test.each<[string, () => object, number]>([
    ["over for 5 s, which is within the leeway", () => ({ exp: inSeconds(-5) }), 200],
    ["over for a minute", () => ({ exp: inSeconds(-60) }), 401],
    ["good from in 5 s on, within the leeway", () => ({ nbf: inSeconds(5) }), 200],
    ["good from in a minute on", () => ({ nbf: inSeconds(60) }), 401],
    ["no end", () => ({ exp: undefined }), 401],
    ["an end that is no number", () => ({ exp: "tomorrow" }), 401],
    ["another issuer", () => ({ iss: "https://evil.example" }), 401],
    ["no issuer", () => ({ iss: undefined }), 401],
    ["one of several audiences", () => ({ aud: ["x", "acme"] }), 200],
    ["a beginning of the audience", () => ({ aud: "acm" }), 401],
    ["a user of the server's own", () => ({ sub: "sa:nightly" }), 401],
    ["a user that is a number", () => ({ sub: 7 }), 401],
    ["a user with a line break", () => ({ sub: "ada\nadmin: true" }), 401],
    ["a user that is longer than any", () => ({ sub: "a".repeat(256) }), 401],
    ["a session that is an object", () => ({ session_id: {} }), 401],
    ["scopes as words", () => ({ scopes: "openid agents:read" }), 200],
    ["scopes under the other name", () => ({ scopes: undefined, scope: "agents:read" }), 200],
    ["scopes that are a number", () => ({ scopes: 7 }), 403],
    ["scopes that are an object", () => ({ scopes: { "agents:read": true } }), 403],
    ["scopes with something else among them", () => ({ scopes: [null, {}, 7, "agents:read"] }), 200],
  ])("%s", async (_, changed, status) => {
    const server = await start({
      verificationKeys: issuer.pem,
      issuer: "https://issuer.example",
      audience: "acme",
    });
    const all = { ...claims, iss: "https://issuer.example", aud: "acme", ...changed() };
    expect(await ask(server, await sign(issuer.privateKey, all))).toMatchObject({ status });
  });

  test("a token without an end is taken where that is asked for", async () => {
    const server = await start({ verificationKeys: issuer.pem, requireExpiry: false });
    const token = await sign(issuer.privateKey, { ...claims, exp: undefined });
    expect(await ask(server, token)).toMatchObject({ status: 200 });
  });

  test("names of claims can be chosen, and claims go into the run before tools see it", async () => {
    const seen: unknown[] = [];
    const look = tool({
      name: "look",
      description: "Looks at the context.",
      inputSchema: z.object({}),
      execute: (_, { userId, sessionId, scopes, dependencies, sessionState }) => {
        seen.push(structuredClone({ userId, sessionId, scopes, dependencies, sessionState }));
        return "seen";
      },
    });
    const server = await startServer({
      agent: { tools: [look] },
      os: {
        authorization: {
          verificationKeys: issuer.pem,
          adminScope: "root:all",
          claims: {
            userId: "email",
            sessionId: "thread",
            scopes: "permissions",
            dependencies: ["tenant"],
            sessionState: ["plan"],
          },
        },
      },
    });
    servers.push(server);
    const token = await sign(issuer.privateKey, {
      sub: "7",
      email: "ada@acme.com",
      thread: "t1",
      permissions: ["agents:run", "agent_os:admin"],
      tenant: "acme",
      plan: "pro",
    });
    const answer = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { ...bearer(token), "content-type": "application/json" },
      body: JSON.stringify({
        message: "[[tool=look {}]]",
        stream: false,
        user_id: "eve",
        session_id: "eves",
        dependencies: { tenant: "evil", other: 1 },
        session_state: { plan: "free", cart: [] },
      }),
    });
    expect(await answer.json()).toMatchObject({ user_id: "ada@acme.com", session_id: "t1" });
    expect(seen).toEqual([
      {
        userId: "ada@acme.com",
        sessionId: "t1",
        scopes: ["agents:run", "agent_os:admin"],
        dependencies: { tenant: "acme", other: 1 },
        sessionState: { plan: "pro", cart: [] },
      },
    ]);
    // The renamed admin scope is the only one.
    expect((await fetch(`${server.url}/sessions`, { headers: bearer(token) })).status).toBe(403);
  });
});

describe("keys", () => {
  test("any of several will do, as in a rotation", async () => {
    const next = createIssuer();
    const server = await start({ verificationKeys: [issuer.pem, next.pem] });
    for (const { privateKey } of [issuer, next]) {
      expect(await ask(server, await sign(privateKey, claims))).toMatchObject({ status: 200 });
    }
    expect(await ask(server, await sign(createIssuer().privateKey, claims))).toMatchObject({ status: 401 });
  });

  test("a PEM may have its line breaks written out, as in an environment file", async () => {
    const server = await start({ verificationKeys: issuer.pem.replaceAll("\n", "\\n") });
    expect(await ask(server, await sign(issuer.privateKey, claims))).toMatchObject({ status: 200 });
  });

  test("a key set in a file is used by key id", async () => {
    const other = createIssuer();
    const keys = [
      { ...(await exportJWK(other.publicKey)), kid: "other" },
      { ...(await exportJWK(issuer.publicKey)), kid: "main", use: "sig" },
      { kty: "oct", k: Buffer.from(secret).toString("base64url"), kid: "shared" },
      { kty: "RSA", n: "broken" },
    ];
    const jwksFile = join(await mkdtemp(join(tmpdir(), "agentos-jwks-")), "jwks.json");
    await writeFile(jwksFile, JSON.stringify({ keys }));
    const server = await start({ jwksFile });
    expect(await ask(server, await sign(issuer.privateKey, claims, { kid: "main" }))).toMatchObject({
      status: 200,
    });
    expect(await ask(server, await sign(issuer.privateKey, claims))).toMatchObject({ status: 200 });
    expect(await ask(server, await sign(issuer.privateKey, claims, { kid: "other" }))).toMatchObject({
      status: 401,
    });
    expect(await ask(server, await sign(issuer.privateKey, claims, { kid: "unknown" }))).toMatchObject({
      status: 401,
    });
  });
});

/** The issuer's own server, with its key set. */
async function serveKeys(keys: () => Promise<object[]> | object[]): Promise<{
  url: string;
  asked: () => number;
  server: Server;
}> {
  let asked = 0;
  const server = createServer((_, answer) => {
    asked++;
    void Promise.resolve(keys()).then((all) => answer.end(JSON.stringify({ keys: all })));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push({ close: () => new Promise((resolve) => server.close(resolve)) });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    asked: () => asked,
    server,
  };
}

const jwk = async ({ publicKey }: Issuer, kid: string) => ({ ...(await exportJWK(publicKey)), kid });

describe("a key set at the issuer's", () => {
  test("is fetched once, again for a key id that is new, and not for every one that is made up", async () => {
    const next = createIssuer();
    const keys = [await jwk(issuer, "one")];
    const remote = await serveKeys(() => keys);
    const server = await start({ jwksUrl: remote.url });
    const old = await sign(issuer.privateKey, claims, { kid: "one" });
    expect(await ask(server, old)).toMatchObject({ status: 200 });
    for (let i = 0; i < 5; i++) {
      const token = await sign(issuer.privateKey, { ...claims, jti: String(i) }, { kid: "one" });
      expect(await ask(server, token)).toMatchObject({ status: 200 });
    }
    expect(remote.asked()).toBe(1);
    keys[0] = await jwk(next, "two");
    for (let i = 0; i < 5; i++) {
      await ask(server, await sign(issuer.privateKey, claims, { kid: `made up ${i}` }));
    }
    // The cooldown holds: the issuer was asked a moment ago.
    expect(remote.asked()).toBe(1);
  });

  test("that changes takes in the new key and lets go of the old one, of what was verified and of open streams too", async () => {
    const real = performance.now.bind(performance);
    let passed = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => real() + passed);
    onTestFinished(() => clock.mockRestore());
    const next = createIssuer();
    const keys = [await jwk(issuer, "one")];
    const remote = await serveKeys(() => keys);
    const server = await start({ jwksUrl: remote.url });
    const scopes = ["agents:read", "agents:run"];
    const old = await sign(issuer.privateKey, { ...claims, scopes }, { kid: "one" });
    const stream = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { ...bearer(old), "content-type": "application/json" },
      body: JSON.stringify({ message: "[[tokens=400]] [[delay=50]]" }),
    });
    expect(stream.status).toBe(200);
    const read = readFrames(stream);
    keys[0] = await jwk(next, "two");
    const fresh = await sign(next.privateKey, claims, { kid: "two" });
    expect(await ask(server, fresh)).toMatchObject({ status: 401 });
    passed += 31_000;
    expect(await ask(server, fresh)).toMatchObject({ status: 200 });
    expect(await ask(server, old)).toMatchObject({ status: 401 });
    expect((await read).at(-1)?.event).not.toBe("RunCompleted");
    expect(remote.asked()).toBe(2);
  });

  test("goes on with the keys that it has while the issuer is away", async () => {
    const remote = await serveKeys(async () => [await jwk(issuer, "one")]);
    const server = await start({ jwksUrl: remote.url });
    expect(await ask(server, await sign(issuer.privateKey, claims, { kid: "one" }))).toMatchObject({
      status: 200,
    });
    await new Promise((resolve) => {
      remote.server.close(resolve);
      remote.server.closeAllConnections();
    });
    const another = await sign(issuer.privateKey, { ...claims, jti: "2" }, { kid: "one" });
    expect(await ask(server, another)).toMatchObject({ status: 200 });
  });

  test("that never was there is 503, and no way in", async () => {
    const server = await start({ jwksUrl: "http://127.0.0.1:9/jwks" });
    const answer = await fetch(`${server.url}/agents`, {
      headers: bearer(await sign(issuer.privateKey, claims)),
    });
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).not.toBe(null);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });
});

describe("what cannot work ends the start with one line", () => {
  const agents = [new Agent({ id: "a", model: new EchoModel() })];
  const privatePem = issuer.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 });

  test.each<[string, AuthorizationOptions | true, RegExp]>([
    ["no key", true, /needs a key.*JWT_VERIFICATION_KEY/],
    ["a secret where tokens are RS256", { verificationKeys: secret }, /shared.*JWT_ALGORITHM is RS256/],
    [
      "a public key where tokens are HS256",
      { verificationKeys: issuer.pem, algorithms: ["HS256"] },
      /JWT_ALGORITHM is HS256/,
    ],
    [
      "an algorithm that no key is for",
      { verificationKeys: issuer.pem, algorithms: ["RS256", "ES256"] },
      /lists ES256, and no key/,
    ],
    ["a private key", { verificationKeys: privatePem }, /private key/],
    ["a key that is too small", { verificationKeys: issuerOf(small).pem }, /2048 bits/],
    [
      "a PEM that is none",
      { verificationKeys: "-----BEGIN PUBLIC KEY-----\nxx\n-----END PUBLIC KEY-----" },
      /cannot be read/,
    ],
    ["an empty key", { verificationKeys: " " }, /empty/],
    ["a file that is not there", { jwksFile: "/nowhere/jwks.json" }, /\/nowhere\/jwks.json.*cannot be read/],
    ["alg none", { verificationKeys: issuer.pem, algorithms: ["none" as never] }, /algorithms must be/],
    ["a URL that is none", { jwksUrl: "file:///etc/passwd" }, /jwksUrl must be/],
    ["an option that there is not", { keys: issuer.pem } as never, /no option "keys"/],
  ])("%s", (_, authorization, words) => {
    let message = "";
    try {
      new AgentOS({ agents, authorization });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(words);
    expect(message).not.toContain("\n");
    for (const key of [secret, privatePem]) expect(message).not.toContain(key.slice(30, 60));
  });
});
