import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("a process that has PostgreSQL for its tests ends with the status that it means to", async () => {
  const postgres = new URL("../support/postgres.ts", import.meta.url);
  const text = `await import(${JSON.stringify(postgres.href)}); process.exitCode = 3;`;
  const ended = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", text]);
  await expect(ended).rejects.toMatchObject({ code: 3 });
});
