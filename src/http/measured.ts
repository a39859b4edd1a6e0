import type { Measured } from "../telemetry/meters.ts";
import type { Served } from "./served.ts";
import { openStreams } from "./sse.ts";

/** How everything stands in this process, for Prometheus. */
export async function measured({ telemetry, runner }: Served): Promise<Measured> {
  await telemetry.load();
  return telemetry.meters.measure({ activeRuns: runner.liveRuns, activeStreams: openStreams() });
}
