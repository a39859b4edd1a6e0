import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { bundleClient } from "../support/client-bundle.ts";

test("the client is one small file for browsers: nothing of Node, no dependency", async () => {
  const { code, imports, dynamicImports, moduleIds } = await bundleClient();
  expect([...imports, ...dynamicImports]).toEqual([]);
  expect(moduleIds.filter((id) => !/\/src\/(client|events)\//.test(id))).toEqual([]);
  expect(code).not.toMatch(/\bnode:|\bprocess\b|\bBuffer\b|\brequire\b/);
  // docs/client.md says so.
  expect(gzipSync(code).length).toBeLessThan(8 * 1024);
});
