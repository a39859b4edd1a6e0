import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { clientTypes } from "../../scripts/client-types.ts";

test("the client's types of answers are those of the OpenAPI document: else run `npm run client:types`", async () => {
  const written = await readFile(new URL("../../src/client/answers.ts", import.meta.url), "utf8");
  expect(written).toBe(await clientTypes());
});
