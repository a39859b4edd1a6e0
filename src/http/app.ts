import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { MethodNotAllowedError, NotFoundError } from "../errors.ts";
import { gate, openGate } from "./auth/gate.ts";
import { OwnRoutes } from "./auth/matched-route.ts";
import { corsFor } from "./cors.ts";
import { docsRoutes } from "./docs.ts";
import { answerError, fromZod } from "./errors.ts";
import { methodsOf, refuseOtherMethods } from "./methods.ts";
import { openapiRoute } from "./openapi.ts";
import { agentRoutes } from "./routes/agents.ts";
import { auditLogRoute } from "./routes/audit-log.ts";
import { cancelRoute } from "./routes/cancel.ts";
import { checkpointRoutes } from "./routes/checkpoints.ts";
import { compactRoute } from "./routes/compact.ts";
import { continueRoute } from "./routes/continue.ts";
import { createRunRoute } from "./routes/create-run.ts";
import { mediaRoutes } from "./routes/media.ts";
import { memoryRoutes } from "./routes/memories.ts";
import { metricRoutes } from "./routes/metrics.ts";
import { optimizeRoute } from "./routes/optimize-memories.ts";
import { queueRoutes } from "./routes/queue.ts";
import { resumeRoutes } from "./routes/resume.ts";
import { runRoutes } from "./routes/runs.ts";
import { serviceAccountRoutes } from "./routes/service-accounts.ts";
import { sessionRunRoutes } from "./routes/session-runs.ts";
import { sessionStreamRoute } from "./routes/session-stream.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { systemRoutes } from "./routes/system.ts";
import { traceRoutes } from "./routes/traces.ts";
import { userRoutes } from "./routes/users.ts";
import { securityHeaders } from "./security-headers.ts";
import type { Served } from "./served.ts";

/** Builds the app that answers for an AgentOS. Any route may be added to it, at any time. */
export function createApp(served: Served): OpenAPIHono {
  const app = new OpenAPIHono({
    // Hono's default router takes no more routes once it has answered; this one does.
    router: new TrieRouter(),
    defaultHook: (result, c) => {
      if (result.success) return;
      if (result.target === "query") throw fromZod(result.error, "query", c.req.query());
      throw fromZod(result.error, "path", c.req.param());
    },
  });
  const own = new OwnRoutes();
  app.use(corsFor(served.corsOrigins), securityHeaders(served.auth !== undefined), refuseOtherMethods(app));
  if (served.meter) app.use(served.meter.ofClient);
  app.use(served.auth ? gate(served.auth, own) : openGate);
  if (served.meter) app.use(served.meter.ofUser);
  systemRoutes(app, served);
  agentRoutes(app, served);
  createRunRoute(app, served);
  runRoutes(app, served);
  resumeRoutes(app, served);
  cancelRoute(app, served);
  continueRoute(app, served);
  checkpointRoutes(app, served);
  queueRoutes(app, served);
  mediaRoutes(app, served);
  sessionRoutes(app, served);
  sessionRunRoutes(app, served);
  sessionStreamRoute(app, served);
  compactRoute(app, served);
  memoryRoutes(app, served);
  optimizeRoute(app, served);
  userRoutes(app, served);
  serviceAccountRoutes(app, served);
  auditLogRoute(app, served);
  traceRoutes(app, served);
  metricRoutes(app, served);
  openapiRoute(app, served);
  docsRoutes(app, served);
  own.take(app.routes);
  app.onError((error, c) => answerError(error, c, served.logger));
  app.notFound((c) => answerError(unmatched(app, c), c, served.logger));
  return app;
}

/** A path that is known under another method is 405, any other 404. */
function unmatched(app: OpenAPIHono, c: Context): Error {
  const allowed = methodsOf(app, c.req.path);
  return allowed.length > 0
    ? new MethodNotAllowedError(c.req.method, allowed)
    : new NotFoundError(`Nothing is served at ${c.req.path}`);
}
