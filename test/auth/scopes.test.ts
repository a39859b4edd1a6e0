import { Agent, AgentOS, EchoModel, requireScope } from "agentos-ts";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { bearer, sign } from "../support/tokens.ts";

/** What scopes open, held against a rule that is written down here once more, in the plainest way. */

const secret = "a secret of this test alone, and of 32 bytes";
const os = new AgentOS({
  agents: ["one", "two"].map((id) => new Agent({ id, model: new EchoModel() })),
  authorization: { verificationKeys: secret, algorithms: ["HS256"] },
  logLevel: "silent",
});
const app = os.getApp();
app.get("/things", requireScope("things:read"), (c) => c.text("all"));
app.get("/things/:id", requireScope("things:read", { param: "id" }), (c) => c.text("one"));
afterAll(() => os.close());

async function opens(scopes: unknown, path: string): Promise<boolean> {
  const headers = bearer(await sign(secret, { sub: "ada", scopes }));
  const { status } = await app.request(path, { headers });
  expect([200, 403]).toContain(status);
  return status === 200;
}

/** What the rule says: the scope itself, for any, for this one, or the administrator's. */
const should = (scopes: readonly string[], resource: string, action: string, id?: string) =>
  scopes.some((scope) =>
    [
      "agent_os:admin",
      `${resource}:${action}`,
      `${resource}:*:${action}`,
      ...(id === undefined ? [] : [`${resource}:${id}:${action}`]),
    ].includes(scope),
  );

const word = fc.constantFrom(
  "things",
  "agents",
  "read",
  "run",
  "one",
  "two",
  "*",
  "",
  "agent_os",
  "admin",
  "Read",
  "things ",
);
const scope = fc.oneof(
  fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(":")),
  fc.string({ maxLength: 20 }),
  fc.constantFrom("things:read", "things:*:read", "things:one:read", "agent_os:admin", "agents:one:run"),
);
const scopes = fc.array(scope, { maxLength: 6 });
// Ids that a path can have.
const id = fc
  .oneof(fc.constantFrom("one", "two", "*", "read"), fc.stringMatching(/^[\w.~-]{1,12}$/))
  .filter((one) => !/^\.+$/.test(one));

test("a scope opens what the rule says, and nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(scopes, async (all) => {
      expect(await opens(all, "/things")).toBe(should(all, "things", "read"));
    }),
    { numRuns: 300 },
  );
});

test("a scope for one thing opens that one", async () => {
  await fc.assert(
    fc.asyncProperty(scopes, id, async (all, one) => {
      const granted = [...all, `things:${one}:read`];
      expect(await opens(all, `/things/${one}`)).toBe(should(all, "things", "read", one));
      expect(await opens(granted, `/things/${one}`)).toBe(true);
      expect(await opens([`things:${one}:read`], "/things")).toBe(one === "*");
    }),
    { numRuns: 200 },
  );
});

test("more scopes never open less", async () => {
  await fc.assert(
    fc.asyncProperty(scopes, scopes, id, async (some, more, one) => {
      for (const path of ["/things", `/things/${one}`, "/agents", "/agents/one"]) {
        if (await opens(some, path)) expect(await opens([...some, ...more], path)).toBe(true);
      }
    }),
    { numRuns: 100 },
  );
});

test("a claim that is no list of texts opens nothing that it does not say", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (claim) => {
      const said = JSON.stringify(claim).includes("agents:read") || JSON.stringify(claim).includes("admin");
      fc.pre(!said);
      expect(await opens(claim, "/agents/one")).toBe(false);
    }),
    { numRuns: 200 },
  );
});
