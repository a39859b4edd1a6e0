/** In the order in which they are run. They only add: an older node goes on beside a newer schema. */
export const migrationNames = [
  "001-runs",
  "002-sessions",
  "003-memories",
  "004-nodes",
  "005-queue",
  "006-telemetry",
  "007-access",
] as const;
