/**
 * What tokens cost: our server with authorization against the same without, side by side, in runs/s.
 *
 *   node bench/auth.ts [--rounds 3] [--seconds 4] [--engines sqlite,postgres] [--clients 32]
 *
 * Twice with RS256 tokens: one token a client, as callers have it, and a new one for each run, which is verified each time.
 * Ends with status 1 when the first is below its target of 0.9.
 */
import { createSign, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startPostgres } from "../test/support/postgres.ts";
import { type Child, startChild } from "./children.ts";
import { load } from "./load.ts";
import { median } from "./stats.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "4" },
    engines: { type: "string", default: "sqlite,postgres" },
    clients: { type: "string", default: "32" },
  },
});
const target = 0.9;
const clients = Number(flags.clients);
const seconds = Number(flags.seconds);

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = publicKey.export({ type: "spki", format: "pem" }).toString();

function token(client: number, jti: number): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const claims = { sub: `user-${client}@example.com`, scopes: ["agents:run"], exp, jti: String(jti) };
  const head = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}`;
  return `${head}.${createSign("RSA-SHA256").update(head).sign(privateKey, "base64url")}`;
}

/** More tokens than a step has runs: signing them meanwhile would be load of its own. */
const fresh = Array.from({ length: 20_000 }, (_, i) => token(i % clients, i));
const own = fresh.slice(0, clients);
let next = 0;

const modes = {
  "one token a client": (client: number) => own[client]!,
  "a new token for each run": () => fresh[next++ % fresh.length]!,
};

const dir = mkdtempSync(join(tmpdir(), "agentos-bench-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const model = await startChild({
  name: "mock model",
  script: "../test/support/mock-model.ts",
  health: false,
});
const postgres = flags.engines.includes("postgres") ? await startPostgres() : undefined;
let missed = false;
let databases = 0;

async function start(engine: string, settings: Record<string, string>): Promise<Child> {
  const name = `auth_${++databases}`;
  const database =
    engine === "sqlite"
      ? { AGENTOS_SQLITE_PATH: join(dir, `${name}.db`) }
      : { DATABASE_URL: await postgres!.createDatabase(name) };
  const env = { OPENAI_BASE_URL: `${model.url}/v1`, OPENAI_API_KEY: "bench", ...database, ...settings };
  return startChild({ name: "ours", script: "server.ts", env, health: true });
}

async function measure(child: Child, how?: (client: number) => string): Promise<number> {
  const figures = await load("runs", { url: child.url, clients, seconds, token: how });
  child.check();
  if (figures.errors > 0) throw new Error(`runs failed: ${JSON.stringify(figures.errorKinds)}`);
  return figures.runsPerSecond;
}

try {
  for (const engine of flags.engines.split(",")) {
    const open = await start(engine, {});
    const locked = await start(engine, { AGENTOS_AUTHORIZATION: "true", JWT_VERIFICATION_KEY: pem });
    // Each is warm before it is measured.
    await measure(open);
    await measure(locked, modes["one token a client"]);
    const ratios = new Map<string, number[]>();
    for (let round = 1; round <= Number(flags.rounds); round++) {
      for (const [mode, how] of Object.entries(modes)) {
        const without = await measure(open);
        const with_ = await measure(locked, how);
        ratios.set(mode, [...(ratios.get(mode) ?? []), with_ / without]);
        console.error(
          `${engine}, round ${round}, ${mode}: ${with_.toFixed(0)} of ${without.toFixed(0)} runs/s`,
        );
      }
    }
    await Promise.all([open.stop(), locked.stop()]);
    for (const [mode, all] of ratios) {
      const ratio = median(all);
      const isHeld = mode === "one token a client";
      console.log(
        `${engine}: ${mode}: ${ratio.toFixed(2)} of without${isHeld ? `, target ${target}` : ""} (${all.map((one) => one.toFixed(2)).join(" ")})`,
      );
      if (isHeld && ratio < target) missed = true;
    }
  }
} finally {
  await Promise.all([model.stop(), postgres?.stop()]);
}
if (missed) process.exitCode = 1;
