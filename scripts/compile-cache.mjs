/**
 * Has Node keep what it compiled of the sources, types stripped, for the next start: `node --import ./scripts/compile-cache.mjs`.
 * In JavaScript, for what strips types is loaded with the first file that has some.
 */
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

// Goes with `npm ci`. Where the environment's NODE_COMPILE_CACHE names a folder, that one is used.
enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/node", import.meta.url)));
