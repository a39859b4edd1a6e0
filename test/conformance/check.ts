/**
 * Runs the recorded cases against a server of ours, on one engine:
 *
 *   node --conditions=agentos-source test/conformance/check.ts FOLDER sqlite|postgres
 *
 * Cases that wait for a later version are listed in later.json. One of them that passes is a failure too: the list must
 * not outlive its reason.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../support/free-port.ts";
import { startPostgres } from "../support/postgres.ts";
import later from "./later.json" with { type: "json" };

const [folder, engine] = process.argv.slice(2);
if (!folder || (engine !== "sqlite" && engine !== "postgres")) {
  console.error("usage: check.ts FOLDER sqlite|postgres");
  process.exit(2);
}

const children: ChildProcess[] = [];
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

function start(args: string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...env },
  });
  children.push(child);
  return child;
}

async function answers(url: string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const ok = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return;
    await wait(100);
  }
  throw new Error(`no answer from ${url}`);
}

const temporary = await mkdtemp(join(tmpdir(), "agentos-conformance-"));
const postgres = engine === "postgres" ? await startPostgres() : undefined;
const mockPort = await freePort();
const mock = `http://127.0.0.1:${mockPort}`;
start([join(folder, "mock-openai.mjs"), String(mockPort)]);
await answers(`${mock}/health`);

/** Starts a server of ours on an empty database, and runs the cases of these groups against it. */
async function check(groups: readonly string[], settings: Record<string, string>, ...flags: string[]) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  start(["--conditions=agentos-source", fileURLToPath(new URL("serve.ts", import.meta.url))], {
    PORT: String(port),
    LOG_LEVEL: "warn",
    OPENAI_BASE_URL: `${mock}/v1`,
    OPENAI_API_KEY: "conformance",
    AGENTOS_SQLITE_PATH: join(temporary, `${port}.db`),
    DATABASE_URL: (await postgres?.createDatabase(`conformance_${port}`)) ?? "",
    ...settings,
  });
  await answers(`${url}/health`);
  const args = ["--base-url", url, "--mock-url", mock, "--group", groups.join(","), ...flags];
  const runner = spawn(process.execPath, [join(folder!, "run.mjs"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  for await (const chunk of runner.stdout) output += chunk;
  return output;
}

const secret = "a secret of the conformance check, and of no other server";
const outputs = [
  await check(
    later.groups.filter((group) => group !== "auth"),
    {},
  ),
  await check(
    ["auth"],
    { AGENTOS_AUTHORIZATION: "true", JWT_ALGORITHM: "HS256", JWT_VERIFICATION_KEY: secret },
    "--token-secret",
    secret,
  ),
];
const output = outputs.join("");
const failed = [...output.matchAll(/^FAIL \[(\w+)\] (.*?): (?:step \d|no answer)/gm)].map(
  ([, group, name]) => `${group}: ${name}`,
);
const waiting: readonly string[] = later.cases;
const unexpected = failed.filter((name) => !waiting.includes(name));
const outlived = waiting.filter((name) => !failed.includes(name));

for (const one of outputs) console.log(one.trim().split("\n").at(-1));
if (unexpected.length > 0) console.log(output);
for (const name of unexpected) console.log(`failed: ${name}`);
for (const name of outlived) console.log(`passes now, take it out of later.json: ${name}`);

await postgres?.stop();
await rm(temporary, { recursive: true, force: true });
process.exit(
  unexpected.length + outlived.length > 0 || !outputs.every((one) => /\d+ passed/.test(one)) ? 1 : 0,
);
