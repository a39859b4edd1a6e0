import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { type Job, mostJobsCounted } from "../../db/stores/jobs.ts";
import { NotFoundError } from "../../errors.ts";
import type { RunStatus } from "../../events/run.ts";
import { requeueOf } from "../../runs/requeue.ts";
import { errorResponses, jsonResponse } from "../describe.ts";
import { identifier, optionalIdentifier } from "../identifiers.ts";
import { pagedSchema, pageMeta, pageQuery } from "../paging.ts";
import { wireStatus } from "../present.ts";
import { acceptedRunSchema } from "../schemas.ts";
import { principalOf, type Served, storeOf } from "../served.ts";

const tags = ["Queue"];

/** How a job stands, in the words of the original, and the status of its run. */
const statusOf = {
  queued: "pending",
  running: "running",
  paused: "paused",
  completed: "completed",
  failed: "error",
  cancelled: "cancelled",
} as const satisfies Record<string, RunStatus>;

type State = keyof typeof statusOf;

const states = Object.keys(statusOf) as State[];
const ended: readonly State[] = ["completed", "failed", "cancelled"];

/** Which jobs a list holds. The two kinds have orders of their own, so a list holds one of them. */
const wantedStates = z
  .string()
  .optional()
  .transform((given, context): State[] => {
    const names = (given ?? "").toLowerCase().split(",").filter(Boolean);
    const wanted = states.filter((state) => names.includes(state) || names.includes(statusOf[state]));
    const isKnown = names.every((name) => wanted.some((state) => state === name || statusOf[state] === name));
    if (!isKnown) {
      context.addIssue({ code: "custom", message: `Input should be one of ${states.join(", ")}` });
      return z.NEVER;
    }
    if (wanted.length === 0) return states.filter((state) => !ended.includes(state));
    if (new Set(wanted.map((state) => ended.includes(state))).size > 1) {
      const message = "Jobs that have ended and jobs that have not are asked for apart";
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }
    return wanted;
  })
  .openapi({
    type: "string",
    description: `One or more of ${states.join(", ")}, with commas: all ended, or none. Default: those that have not ended.`,
    example: "failed",
  });

const jobSchema = z
  .object({
    id: z.string().openapi({ description: "The run's id." }),
    state: z.enum(states),
    status: z.string().openapi({ description: "That of the run." }),
    agent_id: z.string(),
    session_id: z.string(),
    user_id: z.string().nullable(),
    input: z.string(),
    attempt: z.int().openapi({ description: "How often it was begun." }),
    crashes: z.int().openapi({ description: "How often its server was lost since its last checkpoint." }),
    node_id: z.string().nullable().openapi({ description: "Which server does it." }),
    cancel_requested: z.boolean(),
    error_type: z.string().nullable(),
    created_at: z.int(),
    started_at: z.int().nullable(),
    ended_at: z.int().nullable(),
  })
  .openapi("Job", {
    description: "A background run as an entry of the queue.",
    example: {
      id: "run_019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11",
      state: "queued",
      status: "pending",
      agent_id: "copilot",
      session_id: "thread-42",
      user_id: "sarah@acme.com",
      input: "Summarize this thread",
      attempt: 0,
      crashes: 0,
      node_id: null,
      cancel_requested: false,
      error_type: null,
      created_at: 1764000000,
      started_at: null,
      ended_at: null,
    },
  });

const statsSchema = z
  .object({
    counts: z.object({
      queued: z.int(),
      running: z.int(),
      paused: z.int(),
      completed: z.int(),
      failed: z.int(),
      cancelled: z.int(),
    } satisfies Record<State, z.ZodInt>),
    oldest_queued_age_seconds: z.number().nullable(),
    agents: z.array(z.object({ agent_id: z.string(), queued: z.int(), running: z.int() })),
  })
  .openapi("QueueStats", {
    example: {
      counts: { queued: 3, running: 2, paused: 0, completed: 120, failed: 1, cancelled: 0 },
      oldest_queued_age_seconds: 1.5,
      agents: [{ agent_id: "copilot", queued: 3, running: 2 }],
    },
  });

const nodesSchema = z
  .array(
    z.object({
      node_id: z.string(),
      alive: z.boolean(),
      lease_seconds_left: z.number(),
      runs: z.int().openapi({ description: "In foreground and background." }),
    }),
  )
  .openapi("QueueNodes", {
    example: [
      { node_id: "019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b12", alive: true, lease_seconds_left: 8.2, runs: 5 },
    ],
  });

const queueStats = createRoute({
  method: "get",
  path: "/queue/stats",
  operationId: "queue_stats",
  summary: "Background runs in numbers",
  description: "Those that have ended are counted for 24 hours from when they were asked for.",
  tags,
  responses: jsonResponse("The numbers.", statsSchema, 503),
});

const listJobs = createRoute({
  method: "get",
  path: "/queue/jobs",
  operationId: "list_jobs",
  summary: "Background runs as entries of the queue",
  description: "What has not ended in the order of the queue; what has, the newest first.",
  tags,
  request: {
    query: z.object({
      ...pageQuery,
      status: wantedStates,
      agent_id: optionalIdentifier,
      session_id: optionalIdentifier,
      user_id: optionalIdentifier,
    }),
  },
  responses: jsonResponse("A page of jobs.", pagedSchema(jobSchema, "JobPage"), 422, 503),
});

const getJob = createRoute({
  method: "get",
  path: "/queue/jobs/{job_id}",
  operationId: "get_job",
  summary: "One background run as an entry of the queue",
  tags,
  request: { params: z.object({ job_id: identifier }) },
  responses: jsonResponse("The job.", jobSchema, 404, 422, 503),
});

const requeueJob = createRoute({
  method: "post",
  path: "/queue/jobs/{job_id}/requeue",
  operationId: "requeue_job",
  summary: "Have a failed background run done again",
  description:
    "Makes a run of its own, which begins with the messages of the first up to where it failed: tools that had answered are " +
    "not called again. `forked_from_run_id` of the new run names the first.",
  tags,
  request: { params: z.object({ job_id: identifier }) },
  responses: {
    202: {
      description: "The new run waits.",
      content: { "application/json": { schema: acceptedRunSchema } },
    },
    ...errorResponses(404, 409, 422, 429, 503),
  },
});

const listNodes = createRoute({
  method: "get",
  path: "/queue/nodes",
  operationId: "list_nodes",
  summary: "The servers that share the database",
  tags,
  responses: jsonResponse("Each with its lease.", nodesSchema, 503),
});

/** What operators see of background runs and of the servers that do them. */
export function queueRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(queueStats, async (c): Promise<Response> => {
    const { counts, agents, oldestAge } = await (await storeOf(served, c)).jobs.stats();
    return c.json({
      counts: Object.fromEntries(states.map((state) => [state, counts.get(statusOf[state]) ?? 0])),
      oldest_queued_age_seconds: oldestAge === undefined ? null : oldestAge / 1000,
      agents: agents.map(({ agentId, pending, running }) => ({
        agent_id: agentId,
        queued: pending,
        running,
      })),
    });
  });

  app.openapi(listJobs, async (c): Promise<Response> => {
    const since = performance.now();
    const { page, limit, status, agent_id, session_id, user_id } = c.req.valid("query");
    const { jobs, total } = await (await storeOf(served, c)).jobs.list(
      {
        statuses: status.map((state) => statusOf[state]),
        ended: status.every((state) => ended.includes(state)),
        ...(agent_id !== undefined && { agentId: agent_id }),
        ...(session_id !== undefined && { sessionId: session_id }),
        ...(user_id !== undefined && { userId: user_id }),
      },
      { page, limit },
    );
    return c.json({
      data: jobs.map((job) => presentJob(job, served)),
      meta: pageMeta({ page, limit, total, mostCounted: mostJobsCounted, since }),
    });
  });

  app.openapi(getJob, async (c): Promise<Response> => {
    const job = await (await storeOf(served, c)).jobs.get(c.req.valid("param").job_id);
    if (!job) throw new NotFoundError("Job not found");
    return c.json(presentJob(job, served));
  });

  app.openapi(requeueJob, async (c) => {
    const { job_id } = c.req.valid("param");
    const request = await requeueOf(job_id, await storeOf(served, c), served.agents);
    const made = await served.runner.continueRun(request, principalOf(c), { background: true });
    if (made.kind !== "queued") throw new Error(`a background run was ${made.kind}`);
    const status = wireStatus("pending", served);
    return c.json({ run_id: made.runId, session_id: made.sessionId, status }, 202);
  });

  app.openapi(listNodes, async (c): Promise<Response> => {
    const nodes = await (await storeOf(served, c)).jobs.nodes();
    return c.json(
      nodes.map(({ nodeId, leaseLeft, runs }) => ({
        node_id: nodeId,
        alive: leaseLeft >= 0,
        lease_seconds_left: leaseLeft / 1000,
        runs,
      })),
    );
  });
}

function presentJob(job: Job, served: Served) {
  const seconds = (milliseconds: number | undefined) =>
    milliseconds === undefined ? null : Math.floor(milliseconds / 1000);
  return {
    id: job.runId,
    // What was replaced by another answer had completed before.
    state: states.find((state) => statusOf[state] === job.status) ?? "completed",
    status: wireStatus(job.status, served),
    agent_id: job.agentId,
    session_id: job.sessionId,
    user_id: job.userId ?? null,
    input: job.input,
    attempt: job.attempt,
    crashes: job.crashes,
    node_id: job.nodeId ?? null,
    cancel_requested: job.cancelRequested,
    error_type: job.errorType ?? null,
    created_at: seconds(job.createdAt),
    started_at: seconds(job.startedAt),
    ended_at: seconds(job.endedAt),
  };
}
