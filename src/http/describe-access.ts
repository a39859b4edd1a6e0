import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Requirement } from "./auth/scope-table.ts";
import { scopeTable, tableKey } from "./auth/scope-table.ts";
import { errorResponses } from "./describe.ts";
import type { Served } from "./served.ts";

type Document = ReturnType<OpenAPIHono["getOpenAPI31Document"]>;

/** What access to an operation adds to its description. */
interface Operation {
  description?: string;
  responses?: object;
  security?: object[];
}

/** Adds to the document what a server with authorization or limits asks for, and how it refuses. */
export function describeAccess(
  document: Document,
  { auth, meter }: Pick<Served, "auth" | "meter">,
): Document {
  if (!auth && !meter) return document;
  const refusals = errorRefs(auth ? [401, 403] : [], meter ? [429] : []);
  for (const [path, methods] of Object.entries(document.paths ?? {})) {
    const isOpen = !auth || auth.isPublic(path);
    for (const [method, operation] of Object.entries(methods as Record<string, Operation>)) {
      const requirement = scopeTable[tableKey(method.toUpperCase(), path)];
      operation.responses = { ...operation.responses, ...(isOpen && auth ? {} : refusals) };
      operation.security = isOpen ? [] : [{ token: [] }];
      const scopes = isOpen ? "" : scopesOf(requirement);
      if (scopes !== "") operation.description = [operation.description, scopes].filter(Boolean).join(" ");
    }
  }
  if (!auth) return document;
  const token = {
    type: "http" as const,
    scheme: "bearer",
    ...(auth.mode === "jwt" && { bearerFormat: "JWT" }),
  };
  return { ...document, components: { ...document.components, securitySchemes: { token } } };
}

function scopesOf(requirement: Requirement | undefined): string {
  if (requirement?.admin) return "For administrators.";
  if (!requirement || requirement.anyOf.length === 0) return "";
  return `Needs the scope ${requirement.anyOf.map((scope) => `\`${scope}\``).join(" or ")}.`;
}

function errorRefs(...groups: (401 | 403 | 429)[][]): object {
  const schema = { $ref: "#/components/schemas/Error" };
  return Object.fromEntries(
    Object.entries(errorResponses(...groups.flat())).map(([status, response]) => [
      status,
      {
        description: (response as { description: string }).description,
        content: { "application/json": { schema } },
      },
    ]),
  );
}
