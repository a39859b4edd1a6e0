import { isJsonObject } from "../../events/json.ts";
import { refuseUnfit, refuseUnknown, type Shape, shapes } from "../../options.ts";

/** How much one user, or one client, may do. What is left out has no limit. */
export interface UsageLimits {
  /** So many at once, then one every sixty seconds' share. */
  requestsPerMinute?: number;
  /** Runs under way. */
  concurrentRuns?: number;
  /** Streams that are open. */
  concurrentStreams?: number;
  /** Tokens of runs on one day, UTC. The run that goes over it is finished, the next is refused. */
  tokensPerDay?: number;
}

/** How much may be done. On PostgreSQL the limits hold over all nodes together. */
export interface UsageOptions {
  /** For each user: of the token, or where authorization is off, of the run. */
  perUser?: UsageLimits;
  /** For each client, by its address. */
  perIp?: UsageLimits;
}

const count: Shape = shapes.count;

const wanted = {
  requestsPerMinute: count,
  concurrentRuns: count,
  concurrentStreams: count,
  tokensPerDay: count,
} satisfies Record<keyof UsageLimits, Shape>;

/** What stands at `limits` of an AgentOS. */
export const usageShape: Shape = { fits: isJsonObject, words: "an object with perUser and perIp" };

/** @throws {ConfigurationError} that names the limit that cannot be */
export function checkUsage(options: UsageOptions): void {
  refuseUnknown("AgentOS: limits", options, ["perUser", "perIp"]);
  for (const [whose, limits] of Object.entries(options)) {
    const what = `AgentOS: limits.${whose}`;
    refuseUnknown(what, limits, Object.keys(wanted));
    refuseUnfit(what, limits, wanted);
  }
}
