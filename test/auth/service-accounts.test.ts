import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type Engine, engines } from "../support/engines.ts";
import { readFrames } from "../support/read-events.ts";
import { query } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { bearer, createIssuer, sign } from "../support/tokens.ts";

const issuer = createIssuer();

interface Account {
  id: string;
  token: string;
  name: string;
  scopes: string[];
  token_prefix: string;
  last_used_at: string | null;
  revoked_at: string | null;
}

describe.each(engines)("on $name", (engine: Engine) => {
  let location: string;
  let server: TestServer;
  let admin: Record<string, string>;
  let n = 0;
  let name: string;

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({
      db: engine.connect(location),
      os: { authorization: { verificationKeys: issuer.pem } },
    });
    admin = bearer(await sign(issuer.privateKey, { sub: "root", scopes: ["agent_os:admin"] }));
  });
  afterAll(() => server.close());
  beforeEach(() => {
    name = `account-${++n}`;
  });

  const send = async (who: Record<string, string>, method: string, path: string, body?: object) => {
    const answer = await fetch(server.url + path, {
      method,
      headers: { ...who, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      json: text === "" ? undefined : JSON.parse(text),
    };
  };
  const mint = async (body: object = {}): Promise<Account> => {
    const made = await send(admin, "POST", "/service-accounts", { name, ...body });
    if (made.status !== 201) throw new Error(JSON.stringify(made.json));
    return made.json;
  };

  test("a token is told once, works, and is stored as its hash", async () => {
    const account = await mint({ scopes: ["agents:run", { scope: "agents:read", effect: "allow" }] });
    expect(account).toMatchObject({
      name,
      scopes: ["agents:run", "agents:read"],
      user_id: `sa:${name}`,
      created_by: "root",
    });
    expect(account.token.startsWith(account.token_prefix)).toBe(true);
    const own = bearer(account.token);
    const run = await send(own, "POST", "/agents/copilot/runs", { message: "hi", stream: false });
    expect(run.json).toMatchObject({ user_id: `sa:${name}`, status: "completed" });
    expect((await send(own, "GET", "/agents")).status).toBe(200);
    expect((await send(own, "GET", "/sessions")).status).toBe(403);
    const listed = await send(admin, "GET", "/service-accounts");
    expect(JSON.stringify(listed.json)).not.toContain(account.token);
    const contentsOf = async (table: string) =>
      JSON.stringify(await query(engine, location, `SELECT * FROM ${table}`), (_, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      );
    const stored = await contentsOf("service_accounts");
    expect(stored).toContain(account.id);
    expect(stored).not.toContain(account.token.split("_").at(-1));
    expect(await contentsOf("audit_log")).not.toContain(account.token.split("_").at(-1));
  });

  test("the last use is noted", async () => {
    const account = await mint();
    await send(bearer(account.token), "GET", "/config");
    await expect
      .poll(async () => {
        const { json } = await send(admin, "GET", "/service-accounts?limit=1000");
        return json.data.find((one: Account) => one.id === account.id).last_used_at;
      })
      .toEqual(expect.any(String));
  });

  test("a revoked one is refused at once, revoking it again is fine, and its name is free", async () => {
    const account = await mint();
    const own = bearer(account.token);
    expect((await send(own, "GET", "/config")).status).toBe(200);
    expect((await send(admin, "POST", "/service-accounts", { name })).status).toBe(409);
    for (let i = 0; i < 2; i++) {
      expect((await send(admin, "DELETE", `/service-accounts/${account.id}`)).status).toBe(204);
      expect((await send(own, "GET", "/config")).status).toBe(401);
    }
    const again = await mint();
    expect(again.id).not.toBe(account.id);
    expect((await send(bearer(again.token), "GET", "/config")).status).toBe(200);
    const { json } = await send(admin, "GET", "/audit-log?outcome=allowed&limit=1000");
    expect(json.data).toContainEqual(
      expect.objectContaining({ method: "DELETE", path: `/service-accounts/${account.id}`, user_id: "root" }),
    );
  });

  test.runIf(engine.name === "postgres")(
    "revoked on one node, it is refused on the others at once",
    async () => {
      const other = await startServer({
        db: engine.connect(location),
        os: { authorization: { verificationKeys: issuer.pem }, drainTimeout: 0 },
      });
      onTestFinished(() => other.close());
      const account = await mint({ scopes: ["agents:run", "config:read"] });
      const own = bearer(account.token);
      const status = async () => (await fetch(`${other.url}/config`, { headers: own })).status;
      expect(await status()).toBe(200);
      const stream = await fetch(`${other.url}/agents/copilot/runs`, {
        method: "POST",
        headers: { ...own, "content-type": "application/json" },
        body: JSON.stringify({ message: "[[tokens=900]] [[delay=50]]" }),
      });
      const read = readFrames(stream);
      await send(admin, "DELETE", `/service-accounts/${account.id}`);
      expect(await status()).toBe(401);
      // The other node looks every few seconds.
      expect((await read).at(-1)?.event).not.toBe("RunCompleted");
    },
  );

  test("one that is over is refused", async () => {
    const account = await mint({ expires_in_days: 1 });
    const { accounts } = server.os.db.serverStore();
    const stored = await accounts.get(account.id);
    await accounts.revoke(account.id, Date.now());
    const over = { ...stored!, accountId: "0".repeat(24), expiresAt: Date.now() - 1000 };
    await accounts.create(over);
    const token = account.token.replace(account.id, over.accountId);
    expect((await send(bearer(token), "GET", "/config")).json.detail).toBe(
      "Invalid or expired service account token",
    );
    await accounts.revoke(over.accountId, Date.now());
  });

  test("what is close to a token is none", async () => {
    const { token, id } = await mint();
    const secret = token.split("_").at(-1)!;
    const turned = secret.startsWith("A") ? `B${secret.slice(1)}` : `A${secret.slice(1)}`;
    for (const wrong of [
      token.replace(secret, turned),
      token.slice(0, -1),
      `${token}A`,
      token.replace(id, "0".repeat(24)),
      `agentos_sa_${id}`,
      "agentos_sa_",
      "agentos_sa_' OR 1=1 --",
    ]) {
      expect([401, 429], wrong).toContain((await send(bearer(wrong), "GET", "/config")).status);
    }
    expect((await send(bearer(token), "GET", "/config")).status).toBe(200);
  });

  test("nobody gives away what he does not have", async () => {
    const own = async (scopes: string[]) =>
      bearer(await sign(issuer.privateKey, { sub: "ada", scopes: ["service_accounts:write", ...scopes] }));
    const all = { name, allow_privileged_scopes: true };
    const asked = async (has: string[], scopes: string[]) =>
      (await send(await own(has), "POST", "/service-accounts", { ...all, scopes })).status;
    expect(await asked(["agents:copilot:run"], ["agents:run"])).toBe(403);
    expect(await asked(["agents:copilot:run"], ["agents:*:run"])).toBe(403);
    expect(await asked(["agents:copilot:run"], ["agents:approver:run"])).toBe(403);
    expect(await asked(["agents:run"], ["agents:run", "agents:read"])).toBe(403);
    expect(await asked(["agents:run"], ["agent_os:admin"])).toBe(403);
    expect(await asked(["agents:run"], ["users:impersonate"])).toBe(403);
    // What has the form of the administrator's scope is none: whoever has it gives away no rights to everything.
    for (const scope of ["agent_os:admin", "agent_os:*:admin", "agent_os:x:admin"]) {
      expect(await asked(["agent_os:*:admin", "agent_os:x:admin"], [scope]), scope).toBe(403);
    }
    expect(await asked(["agents:run"], ["agents:copilot:größe"])).toBe(422);
    expect(await asked(["agents:run"], ['agents:run",error="none'])).toBe(422);
    expect(await asked(["agents:run"], ["agents:\\run"])).toBe(422);
    expect(await asked(["agents:copilot:run"], ["agents:copilot:run"])).toBe(201);
    name = `account-${++n}`;
    expect(
      (
        await send(await own(["agents:run"]), "POST", "/service-accounts", {
          name,
          scopes: ["agents:copilot:run"],
        })
      ).status,
    ).toBe(201);
  });

  test("what is dangerous must be meant", async () => {
    for (const scope of [
      "sessions:delete",
      "memories:write",
      "agent_os:admin",
      "service_accounts:read",
      "users:impersonate",
    ]) {
      const refused = await send(admin, "POST", "/service-accounts", { name, scopes: [scope] });
      expect(refused.status, scope).toBe(400);
      expect(refused.json.detail).toContain(scope);
    }
    expect((await mint({ scopes: ["sessions:delete"], allow_privileged_scopes: true })).scopes).toEqual([
      "sessions:delete",
    ]);
  });

  test.each<[string, object]>([
    ["no name", { name: undefined }],
    ["a name in capitals", { name: "Nightly" }],
    ["a name that is a path", { name: "../x" }],
    ["a name that is too long", { name: "a".repeat(64) }],
    ["a scope that is none", { scopes: ["agents"] }],
    ["a scope that denies", { scopes: [{ scope: "agents:run", effect: "deny" }] }],
    ["an end that is never", { expires_in_days: 0 }],
    ["an end that is too far", { expires_in_days: 3651 }],
    ["a field that there is not", { admin: true }],
  ])("%s is 422", async (_, changed) => {
    expect((await send(admin, "POST", "/service-accounts", { name, ...changed })).status).toBe(422);
  });

  test("two that are made at once do not get the same name", async () => {
    const made = await Promise.all(
      Array.from({ length: 8 }, () => send(admin, "POST", "/service-accounts", { name })),
    );
    expect(made.map(({ status }) => status).toSorted()).toEqual([201, ...Array(7).fill(409)]);
  });

  test("whoever tries secrets is slowed down, and the right one gets through all the same", async () => {
    const { token } = await mint();
    const statuses = [];
    for (let i = 0; i < 30; i++) {
      statuses.push(
        (await send(bearer(`${token.slice(0, -4)}${String(i).padStart(4, "0")}`), "GET", "/config")).status,
      );
    }
    expect(statuses.at(-1)).toBe(429);
    const slowed = await send(bearer("agentos_sa_x"), "GET", "/config");
    expect(slowed.headers.get("retry-after")).toMatch(/^\d+$/);
    expect((await send(bearer(token), "GET", "/config")).status).toBe(200);
    // A token that cannot be guessed is refused as ever.
    expect((await send(bearer("garbage"), "GET", "/config")).status).toBe(401);
  });
});

describe("with the security key", () => {
  const key = "a-key-that-all-share";
  let server: TestServer;
  beforeAll(async () => {
    process.env["OS_SECURITY_KEY"] = key;
    server = await startServer();
    delete process.env["OS_SECURITY_KEY"];
  });
  afterAll(() => server.close());

  test("whoever has it may do everything, and names the user", async () => {
    const answer = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { ...bearer(key), "content-type": "application/json" },
      body: JSON.stringify({ message: "hi", stream: false, user_id: "ada" }),
    });
    expect(await answer.json()).toMatchObject({ user_id: "ada" });
    const info = await (await fetch(`${server.url}/info`, { headers: bearer(key) })).json();
    expect(info).toMatchObject({ auth_mode: "security_key", user_isolation: false });
  });

  test("whoever has it not, may nothing", async () => {
    for (const headers of [
      {},
      bearer("a-key-that-all-shar"),
      bearer(`${key}!`),
      { authorization: "Bearer" },
    ]) {
      expect((await fetch(`${server.url}/agents`, { headers })).status).toBe(401);
    }
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  test("service accounts work, and have their scopes alone", async () => {
    const made = await fetch(`${server.url}/service-accounts`, {
      method: "POST",
      headers: { ...bearer(key), "content-type": "application/json" },
      body: JSON.stringify({ name: "nightly", scopes: ["agents:run"] }),
    });
    const { token } = await made.json();
    const run = await fetch(`${server.url}/agents/copilot/runs`, {
      method: "POST",
      headers: { ...bearer(token), "content-type": "application/json" },
      body: JSON.stringify({ message: "hi", stream: false, user_id: "ada" }),
    });
    expect(await run.json()).toMatchObject({ user_id: "sa:nightly" });
    expect((await fetch(`${server.url}/sessions`, { headers: bearer(token) })).status).toBe(403);
  });
});
