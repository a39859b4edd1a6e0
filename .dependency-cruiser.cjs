/**
 * The one direction of dependencies (ARCHITECTURE.md): http → runs → agent → models; db beside them, events, errors
 * and options at the very bottom. Imports of types count too.
 */

// dependency-cruiser reads TypeScript through swc: TypeScript 7 has no API for it. Without swc it would find nothing to
// check, and be content.
require.resolve("@swc/core");

/** Each layer, and all that it may import of this package. Nothing else is allowed. */
const layers = {
  events: ["events"],
  "errors.ts": ["events"],
  "options.ts": ["events", "errors.ts"],
  client: ["client", "events", "errors.ts"],
  models: ["models", "events", "errors.ts", "options.ts"],
  db: ["db", "events", "errors.ts"],
  telemetry: ["telemetry", "db", "events", "errors.ts"],
  agent: ["agent", "models", "db", "events", "errors.ts", "options.ts"],
  runs: ["runs", "agent", "models", "db", "telemetry", "events", "errors.ts"],
  http: ["http", "runs", "agent", "models", "db", "telemetry", "events", "errors.ts", "options.ts"],
  "settings.ts": ["errors.ts"],
  "stop.ts": [],
  "serve.ts": ["http", "errors.ts", "settings.ts", "stop.ts"],
  workers: ["workers", "serve.ts", "stop.ts", "http", "telemetry", "errors.ts"],
};

/** Packages that only these may import. */
const packages = {
  jose: ["http"],
  "hono|@hono/[^/]+": ["http", "os.ts", "serve.ts"],
  "kysely|pg": ["db"],
  undici: ["models"],
  "@ai-sdk/provider": ["models"],
  "@fastify/busboy": ["http"],
};

/** Packages whose code the build makes part of ours. */
const bundled = require("./scripts/bundled.json");

/** What the package exports, under `src`. */
const entryPoints = Object.values(require("./package.json").exports).flatMap(
  (entry) => entry["agentos-source"]?.replace("./src/", "") ?? [],
);

const under = (names) => `^src/(${names.map((name) => name.replaceAll(".", "\\.")).join("|")})(/|$)`;

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    ...Object.entries(layers).map(([layer, below]) => ({
      name: `${layer.replace(".ts", "")}-imports-only-what-is-below`,
      comment: `src/${layer} may import of this package: ${below.join(", ")}.`,
      severity: "error",
      from: { path: under([layer]) },
      to: { path: "^src/", pathNot: under(below) },
    })),
    ...Object.entries(packages).map(([name, users]) => ({
      name: `only-${users[0]}-knows-${name.split("|")[0].replace("/", "-").replace("@", "")}`,
      comment: `Only src/${users.join(", src/")} may import ${name}.`,
      severity: "error",
      from: { path: "^src/", pathNot: under(users) },
      to: { path: `(^|/)node_modules/(${name})(/|$)` },
    })),
    {
      name: "engines-do-not-know-each-other",
      severity: "error",
      from: { path: "^src/db/(sqlite|postgres)/" },
      to: { path: "^src/db/(sqlite|postgres)/", pathNot: "^src/db/$1/" },
    },
    {
      name: "what-engines-share-knows-neither",
      severity: "error",
      from: { path: "^src/db/", pathNot: "^src/db/(sqlite|postgres)/" },
      to: { path: "^src/db/(sqlite|postgres)/" },
    },
    {
      name: "entry-points-are-for-users",
      severity: "error",
      from: { path: "^src/" },
      to: { path: under(entryPoints) },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "every-file-is-reached",
      comment: "What no entry point of the package leads to is left over.",
      severity: "error",
      from: { path: under(entryPoints) },
      to: { path: "^src/", pathNot: under(entryPoints), reachable: false },
    },
    { name: "everything-resolves", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "only-what-the-package-brings",
      comment:
        "What the package imports must stand in its dependencies or become part of it, or users do not have it.",
      severity: "error",
      from: { path: "^src/" },
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "npm-optional"],
        pathNot: `(^|/)node_modules/(${bundled.join("|")})/`,
      },
    },
  ],
  options: {
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      extensions: [".ts", ".js"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "types", "default"],
    },
  },
};
