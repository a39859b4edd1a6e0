import { loadConnections } from "../../src/models/connections.ts";

/**
 * Loads what a server loads before its first run: here, and not within the time that a test gives that run, or a lease of a
 * second.
 */
export async function loadForRuns(): Promise<void> {
  await Promise.all([import("../../src/telemetry/instruments.ts"), loadConnections()]);
}
