import { execFile, spawn } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** The package as users get it: packed, and installed into a folder that has nothing else. */

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
let folder: string;
let files: string[];

async function npm(cwd: string, ...args: string[]): Promise<void> {
  await run("npm", args, { cwd }).catch(({ stdout, stderr }: { stdout: string; stderr: string }) => {
    throw new Error(`npm ${args[0]} failed: ${stdout}${stderr}`);
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "agentos-package-"));
  await npm(root, "pack", "--pack-destination", folder);
  const [tarball = ""] = (await readdir(folder)).filter((file) => file.endsWith(".tgz"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  // The AI SDK's own types need `@types/json-schema`, and do not bring it.
  const packages = [`./${tarball}`, "zod", "@types/json-schema"];
  await npm(folder, "install", "--no-audit", "--no-fund", "--prefer-offline", ...packages);
  await cp(fileURLToPath(new URL("consumer", import.meta.url)), folder, { recursive: true });
  files = await readdir(join(folder, "node_modules", "agentos-ts"), { recursive: true });
}, 180_000);

describe("what it holds", () => {
  test("is what was built, with its types, and no sources, tests or settings", () => {
    const top = new Set(files.map((file) => file.split("/")[0]));
    expect([...top].toSorted()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "dist", "package.json"]);
    expect(files).toContain("dist/index.js");
    expect(files).toContain("dist/index.d.ts");
    expect(files).toContain("dist/client/index.js");
    expect(files).toContain("dist/client/index.d.ts");
    const strays = files.filter((file) => /\.test\.|(?<!\.d)\.ts$|\.map$|tsconfig|\.env/.test(file));
    expect(strays).toEqual([]);
  });

  test("has the licence of what it brings of others", () => {
    expect(files).toContain("dist/http/docs-assets/LICENSE");
    expect(files).toContain("dist/http/docs-assets/NOTICE");
    expect(files).toContain("dist/licenses/kysely.txt");
    expect(files).toContain("dist/licenses/uuid.txt");
  });

  test("is few files, and its errors are called as they are exported", async () => {
    expect(files.filter((file) => /^dist\/.*\.js$/.test(file)).length).toBeLessThan(30);
    const code = `
      import * as ours from "agentos-ts";
      const errors = Object.entries(ours).filter(([, one]) => one.prototype instanceof Error);
      console.log(JSON.stringify(errors.map(([name, one]) => [name, one.name])));`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", code], { cwd: folder });
    const names: [string, string][] = JSON.parse(stdout);
    expect(names.length).toBeGreaterThan(10);
    for (const [exported, called] of names) expect(called).toBe(exported);
  });

  test("names no path of the machine that built it", async () => {
    for (const file of files.filter((name) => /\.(js|ts|json|md)$/.test(name))) {
      const text = await readFile(join(folder, "node_modules", "agentos-ts", file), "utf8");
      expect(text.includes(root) || text.includes(`${homedir()}/`), file).toBe(false);
    }
  });
});

describe("a project in JavaScript", () => {
  let url: string;
  let stop: () => Promise<unknown>;

  beforeAll(async () => {
    const { OPENAI_API_KEY: _key, DATABASE_URL: _url, ...env } = process.env;
    const child = spawn(process.execPath, ["serve.js"], {
      cwd: folder,
      env: { ...env, PORT: "0", AGENTOS_SQLITE_PATH: join(folder, "data", "agentos.db") },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    stop = () => {
      child.kill("SIGTERM");
      return ended;
    };
    url = await new Promise<string>((resolve, reject) => {
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (chunk: Buffer) => {
          output += chunk.toString();
          const listens = /listens on (http:\S+)/.exec(output)?.[1];
          if (listens) resolve(listens);
        });
      }
      void ended.then((code) => reject(new Error(`It ended with ${code}: ${output}`)));
    });
  });
  afterAll(() => stop());

  test("serves a run, and keeps it", async () => {
    const body = new URLSearchParams({ message: "hello", session_id: "one", stream: "false" });
    const answer = await (await fetch(`${url}/agents/copilot/runs`, { method: "POST", body })).json();
    expect(answer).toMatchObject({ status: "completed", content: expect.stringContaining("hello") });
    const runs = await (await fetch(`${url}/agents/copilot/runs?session_id=one`)).json();
    expect(runs).toEqual([expect.objectContaining({ run_id: answer.run_id })]);
  });

  test("has the page of its API, from the package itself", async () => {
    expect(await (await fetch(`${url}/docs`)).text()).toContain("swagger-ui-bundle.js");
    for (const [name, type] of [
      ["swagger-ui-bundle.js", "text/javascript"],
      ["swagger-ui.css", "text/css"],
    ]) {
      const asset = await fetch(`${url}/docs/${name}`);
      expect(asset.status).toBe(200);
      expect(asset.headers.get("content-type")).toContain(type);
      expect((await asset.arrayBuffer()).byteLength).toBeGreaterThan(50_000);
    }
    expect(await readdir(join(folder, "node_modules"))).not.toContain("swagger-ui-dist");
  });

  test("is asked by the client of the package", async () => {
    const { stdout } = await run(process.execPath, ["ask.js", url, "hello client"], { cwd: folder });
    const { folded, stored } = JSON.parse(stdout);
    expect(stored).toContain("hello client");
    expect(folded).toBe(stored);
  });

  test("stops cleanly", async () => {
    expect(await stop()).toBe(0);
  });
});

describe("a project in TypeScript", () => {
  test("gets the types, strictly, those of the package itself checked too", async () => {
    const tsconfig = {
      compilerOptions: {
        module: "nodenext",
        target: "es2024",
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
        types: ["node"],
        typeRoots: [join(root, "node_modules", "@types")],
      },
      files: ["types.ts"],
    };
    expect(await checked(tsconfig)).toBe("");
  });

  test("gets those of the client in a page too, where there is nothing of Node", async () => {
    const tsconfig = {
      compilerOptions: {
        module: "esnext",
        moduleResolution: "bundler",
        target: "es2022",
        lib: ["es2024", "dom"],
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        types: [],
      },
      files: ["page.ts"],
    };
    expect(await checked(tsconfig)).toBe("");
  });

  /** What the compiler finds wrong. */
  async function checked(tsconfig: object): Promise<string> {
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch(
      (error: { stdout: string }) => error,
    );
    return stdout;
  }
});
