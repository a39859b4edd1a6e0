import { fileURLToPath } from "node:url";
import { type OutputChunk, rolldown } from "rolldown";

const entry = fileURLToPath(new URL("../../src/client/index.ts", import.meta.url));

/** The client as a bundler makes one file of it. rolldown comes with vitest. */
export async function bundleClient(): Promise<OutputChunk> {
  const bundle = await rolldown({ input: entry, platform: "browser", logLevel: "silent" });
  try {
    const { output } = await bundle.generate({ format: "esm", minify: true });
    return output[0];
  } finally {
    await bundle.close();
  }
}
