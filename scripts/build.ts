/** Makes `dist`: the package as it is published. Run by `npm run build`. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const require = createRequire(import.meta.url);

/** Packages whose code becomes part of ours, for they are many small files. Kysely is a dependency too: our types name its. */
const bundled: string[] = JSON.parse(readFileSync(join(root, "scripts", "bundled.json"), "utf8"));

/** What is imported by users, and what must stay a file of its own. */
const entries = [
  "index",
  "client/index",
  // They start themselves again as threads.
  "db/sqlite/wal-checkpointer",
  "db/sqlite/writer-thread",
  // It finds the page's assets beside itself.
  "http/docs",
];

rmSync(dist, { recursive: true, force: true });

const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
if (status !== 0) process.exit(status ?? 1);

// A start that loads few files takes half of the time. Not minified: what is thrown shows where, in words that are ours.
const bundle = await rolldown({
  cwd: root,
  platform: "node",
  input: Object.fromEntries(entries.map((entry) => [entry, join(root, "src", `${entry}.ts`)])),
  external: (id) => /^[@a-z]/.test(id) && !bundled.some((name) => id === name || id.startsWith(`${name}/`)),
  transform: { target: "es2024" },
});
await bundle.write({ dir: dist, format: "esm", chunkFileNames: "chunks/[name]-[hash].js" });
await bundle.close();

const licenses = join(dist, "licenses");
mkdirSync(licenses);
for (const name of bundled) {
  const folder = join(root, "node_modules", name);
  const license = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  if (license === undefined) throw new Error(`${name} has no licence that could go with its code`);
  copyFileSync(join(folder, license), join(licenses, `${name}.txt`));
}

// `/docs` works without internet, and without `swagger-ui-dist`, which is 30 times as large as what is needed of it.
const swagger = dirname(require.resolve("swagger-ui-dist/package.json"));
const assets = join(dist, "http", "docs-assets");
mkdirSync(assets, { recursive: true });
for (const file of ["swagger-ui.css", "swagger-ui-bundle.js", "LICENSE", "NOTICE"]) {
  copyFileSync(join(swagger, file), join(assets, file));
}
