import { createHash } from "node:crypto";
import type { Context } from "hono";
import type { IdempotencyKey } from "../db/records.ts";
import { InvalidRequestError } from "../errors.ts";
import { isJsonObject } from "../events/json.ts";
import { idempotencyKeptFor } from "../runs/housekeeping.ts";
import type { ParsedBody } from "./body.ts";
import { typedBody } from "./run-fields.ts";

/** Visible ASCII, as header values can carry everywhere. */
const wellFormed = /^[\x21-\x7e]{1,255}$/;

/**
 * The name that the caller gave the request.
 *
 * @throws {InvalidRequestError} when it is none
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotencyKey(c: Context, agentId: string, body: ParsedBody): IdempotencyKey | undefined {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return undefined;
  if (!wellFormed.test(key)) {
    throw InvalidRequestError.field(
      ["header", "idempotency-key"],
      "A key is 1 to 255 visible ASCII characters without spaces",
      { input: key.slice(0, 300) },
    );
  }
  return { key, requestHash: requestHash(agentId, body), keptFor: idempotencyKeptFor };
}

/** Two requests have the same hash where they ask for the same: the boundaries of a form and the order of fields differ. */
function requestHash(agentId: string, body: ParsedBody): string {
  const files = body.kind === "form" ? body.files : [];
  const parts = {
    agentId,
    fields: typedBody(body),
    files: files.map(({ field, filename, mimeType, bytes }) => ({
      field,
      filename,
      mimeType,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    })),
  };
  return createHash("sha256").update(JSON.stringify(parts, inOrder)).digest("hex");
}

/** Writes the keys of objects in one order. */
function inOrder(_key: string, value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
