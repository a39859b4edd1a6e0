import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { startProgram, urlOf } from "./program.ts";

const copilot = "examples/copilot.ts";

/** A file that is there, and no database. */
const noDatabase = join(mkdtempSync(join(tmpdir(), "agentos-start-")), "notes.txt");
writeFileSync(noDatabase, "Tea, milk, bread.\n".repeat(500));

/** Starts in vain, and gives the one line that says why. */
async function refusal(settings: Record<string, string>, file = copilot): Promise<string> {
  const program = await startProgram(file, settings);
  const { code, stderr, stdout } = await program.ended;
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^agentos: .+\n$/);
  expect(stderr.trim()).not.toContain("\n");
  expect(stderr).not.toContain("secret");
  return stderr;
}

describe("a wrong setting ends the start with one clear line:", () => {
  test.each([
    ["PORT", "abc", /PORT.*"abc".*whole number from 0 to 65535/],
    ["PORT", "65536", /PORT.*"65536".*whole number from 0 to 65535/],
    ["PORT", "-1", /PORT/],
    ["PORT", " ", /PORT/],
    ["LOG_LEVEL", "loud", /LOG_LEVEL.*"loud".*one of fatal, error, warn, info/],
    ["AGENTOS_AGNO_COMPAT", "perhaps", /AGENTOS_AGNO_COMPAT.*"perhaps".*true or false/],
    ["DATABASE_URL", "mysql://me:secret@localhost/ai", /DATABASE_URL.*postgresql:\/\//],
    ["DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/ai", /me:\*\*\*@127\.0\.0\.1:1.*ECONNREFUSED/],
    ["DATABASE_URL", "postgresql://me:secret@localhost:1/ai", /cannot be opened: .*ECONNREFUSED/],
    ["AGENTOS_SQLITE_PATH", noDatabase, /SQLite.*cannot be opened.*not a database/],
    ["AGENTOS_SQLITE_PATH", `${noDatabase}/agentos.db`, /SQLite.*cannot be opened/],
    ["AGENTOS_AUTHORIZATION", "perhaps", /AGENTOS_AUTHORIZATION.*"perhaps".*true or false/],
    ["AGENTOS_AUTHORIZATION", "true", /needs a key.*JWT_VERIFICATION_KEY/],
    ["AGENTOS_WORKERS", "0", /AGENTOS_WORKERS.*"0".*whole number of at least 1/],
    ["AGENTOS_WORKERS", "1.5", /AGENTOS_WORKERS.*"1\.5".*whole number of at least 1/],
    ["AGENTOS_WORKERS", "2", /2 workers.*PostgreSQL.*SQLite file.*DATABASE_URL/],
    ["AGENTOS_TRUSTED_PROXIES", "many", /AGENTOS_TRUSTED_PROXIES.*"many".*number of proxies/],
    ["OS_SECURITY_KEY", "a secret with spaces", /OS_SECURITY_KEY.*no spaces/],
    // An address that is kept for documentation: no machine has it.
    ["HOST", "203.0.113.1", /Cannot listen on 203\.0\.113\.1.*HOST/],
  ])("%s=%s", async (name, value, line) => {
    expect(await refusal({ [name]: value })).toMatch(line);
  });

  test.each<[Record<string, string>, RegExp]>([
    [{ JWT_VERIFICATION_KEY: "a key of 32 bytes, and then some more" }, /shared.*JWT_ALGORITHM is RS256/],
    [{ JWT_VERIFICATION_KEY: "a key of 32 bytes", JWT_ALGORITHM: "none" }, /JWT_ALGORITHM is "none".*HS256/],
    [{ JWT_JWKS_FILE: "/nowhere/jwks.json" }, /\/nowhere\/jwks\.json.*cannot be read/],
    [{ JWT_JWKS_URL: "file:///etc/passwd" }, /JWT_JWKS_URL.*https:\/\//],
  ])("AGENTOS_AUTHORIZATION=true with %j", async (settings, line) => {
    expect(await refusal({ AGENTOS_AUTHORIZATION: "true", ...settings })).toMatch(line);
  });

  test("a database that no worker can open is said once", async () => {
    const settings = { DATABASE_URL: "postgresql://me:secret@127.0.0.1:1/ai", AGENTOS_WORKERS: "3" };
    expect(await refusal(settings)).toMatch(/me:\*\*\*@127\.0\.0\.1:1.*ECONNREFUSED/);
  });

  test("OPENAI_BASE_URL=nonsense", async () => {
    const settings = { OPENAI_API_KEY: "secret", OPENAI_BASE_URL: "nonsense" };
    expect(await refusal(settings)).toMatch(/http or https URL.*OPENAI_BASE_URL/);
  });

  test("a port where another program listens", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    expect(await refusal({ PORT: String(port) })).toMatch(/another program listens there.*PORT/);
    const workers = { DATABASE_URL: "postgresql://me:secret@127.0.0.1:1/ai", AGENTOS_WORKERS: "2" };
    expect(await refusal({ PORT: String(port), ...workers })).toMatch(/another program listens there.*PORT/);
  });

  test("a SQLite file that another server has open", async () => {
    const [, path = ""] = await (await startProgram(copilot)).prints(/sqlite, (.*)\n/);
    expect(await refusal({ AGENTOS_SQLITE_PATH: path })).toMatch(/in use by another server/);
  });

  test("an option in code that this version does not know", async () => {
    expect(await refusal({}, "test/start/programs/wrong-option.ts")).toMatch(
      /no option "addHistroyToContext"/,
    );
  });
});

describe("an error that is no wrong setting", () => {
  test("keeps its stack, though there was a wrong option before that was caught", async () => {
    const program = await startProgram("test/start/programs/faulty.ts");
    const { code, stderr } = await program.ended;
    expect(code).toBe(1);
    expect(stderr).toContain("TypeError: a bug");
    expect(stderr).toContain("faulty.ts");
  });
});

test("a server that starts again finds what was stored", async () => {
  const first = await startProgram(copilot);
  const [, path = ""] = await first.prints(/sqlite, (.*)\n/);
  const body = new URLSearchParams({ message: "hello", session_id: "one", stream: "false" });
  await fetch(`${await urlOf(first)}/agents/copilot/runs`, { method: "POST", body });
  first.signal("SIGTERM");
  expect(await first.ended).toMatchObject({ code: 0 });
  const again = await startProgram(copilot, { AGENTOS_SQLITE_PATH: path });
  const runs = await fetch(`${await urlOf(again)}/agents/copilot/runs?session_id=one`);
  expect(await runs.json()).toHaveLength(1);
});
