import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { startMockModel } from "../support/mock-model.ts";
import { nodeOptions, startProgram, urlOf } from "./program.ts";

const copilot = "examples/copilot.ts";

/** Does what a line with curl says: `curl -X POST URL -F 'name=value' …`. */
async function obey(line: string): Promise<Response> {
  const [, method = "", url = ""] = /^curl -X (\w+) (\S+)/.exec(line) ?? [];
  const body = new FormData();
  for (const [, name = "", value = ""] of line.matchAll(/-F '(\w+)=([^']*)'/g)) body.set(name, value);
  return fetch(url, { method, body });
}

test("`npm start` serves the copilot", async () => {
  const { scripts } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  expect(scripts.start).toBe(["node", ...nodeOptions, copilot].join(" "));
});

test("what a start compiled is there for the next one", async () => {
  const program = await startProgram(copilot);
  await urlOf(program);
  program.signal("SIGTERM");
  await program.ended;
  const kept = await readdir(new URL("../../node_modules/.cache/node", import.meta.url), { recursive: true });
  expect(kept.length).toBeGreaterThan(300);
});

test("the start says where it listens, with what, and a curl line that works", async () => {
  const program = await startProgram(copilot);
  const url = await urlOf(program);
  const [, curl = ""] = await program.prints(/^\s*(curl .*)$/m);
  expect(await (await obey(curl)).json()).toMatchObject({ status: "completed", model: "offline-echo" });
  expect((await fetch(`${url}/health`)).status).toBe(200);
  program.signal("SIGTERM");
  const { stdout, stderr } = await program.ended;
  expect(stderr).toBe("");
  expect(stdout).toContain(`AgentOS listens on ${url}`);
  expect(stdout).toMatch(/agents +copilot\n/);
  expect(stdout).toMatch(/database +sqlite, \/.*agentos\.db\n/);
  expect(stdout).toMatch(/model +offline-echo/);
  expect(stdout).toMatch(/offline.*OPENAI_API_KEY/);
  expect(stdout).toContain(`${url}/docs`);
});

test("with a key the banner names the model, and says nothing of offline", async () => {
  const mock = await startMockModel();
  const program = await startProgram(copilot, {
    OPENAI_API_KEY: "sk-secret",
    OPENAI_BASE_URL: mock.url,
    OPENAI_MODEL: "gpt-oss",
  });
  await urlOf(program);
  program.signal("SIGTERM");
  const { stdout } = await program.ended;
  expect(stdout).toMatch(/model +gpt-oss \(OpenAI\)/);
  expect(stdout).not.toContain("offline");
  expect(stdout).not.toContain("sk-secret");
  await mock.close();
});

test("PORT and HOST say where it listens", async () => {
  const program = await startProgram(copilot, { HOST: "localhost", PORT: "0" });
  const url = await urlOf(program);
  expect(url).toMatch(/^http:\/\/localhost:\d+$/);
  expect((await fetch(`${url}/health`)).status).toBe(200);
});

test("a setting that is empty is none", async () => {
  const program = await startProgram(copilot, {
    HOST: "",
    DATABASE_URL: "",
    AGENTOS_AGNO_COMPAT: "",
    LOG_LEVEL: "",
    OPENAI_API_KEY: "",
  });
  expect(await urlOf(program)).toContain("127.0.0.1");
});

test("AGENTOS_AGNO_COMPAT writes the status in upper case", async () => {
  const program = await startProgram(copilot, { AGENTOS_AGNO_COMPAT: "true" });
  await urlOf(program);
  const [, curl = ""] = await program.prints(/^\s*(curl .*)$/m);
  expect(await (await obey(curl)).json()).toMatchObject({ status: "COMPLETED" });
});

test.each([
  ["info", true],
  ["warn", false],
  ["silent", false],
])("LOG_LEVEL=%s: runs that end well are logged: %s", async (level, logged) => {
  const program = await startProgram(copilot, { LOG_LEVEL: level });
  await urlOf(program);
  const [, curl = ""] = await program.prints(/^\s*(curl .*)$/m);
  const { run_id } = await (await obey(curl)).json();
  program.signal("SIGTERM");
  const { stdout } = await program.ended;
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  expect(lines.some((line) => JSON.parse(line).run_id === run_id)).toBe(logged);
});
