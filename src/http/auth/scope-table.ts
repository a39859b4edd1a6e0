/** Which scope each route needs. A route that is not here, and does not say it itself, is closed where authorization is on. */

/** What a route needs of its caller. */
export interface Requirement {
  /** One of these is enough; none at all: any token will do. */
  readonly anyOf: readonly string[];
  /** Only who has the admin scope. */
  readonly admin?: true;
  /**
   * Whether a scope for one thing alone (`agents:copilot:run`) is enough: where the path names it in a parameter, or for
   * any one (`some`), and then the route answers of that thing alone.
   */
  readonly for?: { readonly param: string } | "some";
  /** Whether it is about a user's data: who is confined to its own and has no user cannot use it. */
  readonly ofUser?: true;
  /** Whether a call is written to the audit log, whoever makes it. */
  readonly audited?: true;
}

const anyToken: Requirement = { anyOf: [] };
const admin: Requirement = { anyOf: [], admin: true };
const own = (...anyOf: string[]): Requirement => ({ anyOf, ofUser: true });
const of = (...anyOf: string[]): Requirement => ({ anyOf });
const ofAgent = (...anyOf: string[]): Requirement => ({ anyOf, for: { param: "agent_id" }, ofUser: true });

/** By method and path, in which `:` stands for a parameter. */
export const scopeTable: Readonly<Record<string, Requirement>> = {
  "GET /": anyToken,
  "GET /info": anyToken,
  "GET /readyz": anyToken,
  "GET /docs": anyToken,
  "GET /docs/swagger-ui.css": anyToken,
  "GET /docs/swagger-ui-bundle.js": anyToken,
  // Open: they are public paths.
  "GET /health": anyToken,
  "GET /openapi.json": anyToken,
  "GET /config": of("config:read"),

  "GET /agents": { anyOf: ["agents:read"], for: "some" },
  "GET /agents/:": { anyOf: ["agents:read"], for: { param: "agent_id" } },
  "GET /teams": { anyOf: ["teams:read"], for: "some" },
  "GET /workflows": { anyOf: ["workflows:read"], for: "some" },
  "POST /agents/:/runs": ofAgent("agents:run"),
  "GET /agents/:/runs": ofAgent("agents:run", "agents:read"),
  "GET /agents/:/runs/:": ofAgent("agents:run", "agents:read"),
  "GET /agents/:/runs/:/resume": ofAgent("agents:run", "agents:read"),
  "POST /agents/:/runs/:/resume": ofAgent("agents:run", "agents:read"),
  "POST /agents/:/runs/:/continue": ofAgent("agents:run"),
  "POST /agents/:/runs/:/cancel": ofAgent("agents:run"),
  "GET /agents/:/runs/:/checkpoints": ofAgent("agents:read"),
  "GET /agents/:/runs/:/checkpoints/:": ofAgent("agents:read"),
  "POST /agents/:/sessions/:/fork": ofAgent("agents:run"),
  "POST /agents/:/sessions/:/compact": ofAgent("agents:run"),
  "GET /media/:": { anyOf: ["agents:run", "agents:read"], for: "some", ofUser: true },

  "GET /sessions": own("sessions:read"),
  "POST /sessions": own("sessions:write"),
  "DELETE /sessions": own("sessions:delete"),
  "GET /sessions/:": own("sessions:read"),
  "PATCH /sessions/:": own("sessions:write"),
  "DELETE /sessions/:": own("sessions:delete"),
  "POST /sessions/:/rename": own("sessions:write"),
  "GET /sessions/:/runs": own("sessions:read"),
  "GET /sessions/:/runs/:": own("sessions:read"),
  "GET /sessions/:/run-previews": own("sessions:read"),
  "GET /sessions/:/stream": { anyOf: ["agents:run", "agents:read"], for: "some", ofUser: true },

  "GET /memories": own("memories:read"),
  "POST /memories": own("memories:write"),
  "DELETE /memories": own("memories:delete"),
  "GET /memories/:": own("memories:read"),
  "PATCH /memories/:": own("memories:write"),
  "DELETE /memories/:": own("memories:delete"),
  "GET /memory_topics": own("memories:read"),
  "GET /user_memory_stats": own("memories:read"),
  "POST /optimize-memories": own("memories:write"),

  "GET /users/:/export": { anyOf: ["users:read"], ofUser: true, audited: true },
  "DELETE /users/:": { anyOf: ["users:delete"], ofUser: true, audited: true },

  "GET /traces": own("traces:read"),
  "GET /traces/filter-schema": of("traces:read"),
  "GET /traces/:": own("traces:read"),
  "GET /trace_session_stats": own("traces:read"),
  "POST /traces/search": own("traces:read"),
  "GET /metrics": own("metrics:read"),
  "POST /metrics/refresh": of("metrics:write"),
  "GET /metrics/refresh/status": of("metrics:read"),
  "GET /metrics/prometheus": of("metrics:read"),

  "GET /service-accounts": of("service_accounts:read"),
  "POST /service-accounts": { anyOf: ["service_accounts:write"], audited: true },
  "DELETE /service-accounts/:": { anyOf: ["service_accounts:delete"], audited: true },

  "GET /queue/stats": admin,
  "GET /queue/jobs": admin,
  "GET /queue/jobs/:": admin,
  "POST /queue/jobs/:/requeue": admin,
  "GET /queue/nodes": admin,
  "GET /audit-log": admin,
};

/** The entry of the table for a route, whatever its parameters are called. */
export function tableKey(method: string, path: string): string {
  return `${method} ${path.replace(/\/(?::[^/]+|\{[^/]+\})/g, "/:")}`;
}
