import type { Context } from "hono";
import { parse } from "hono/utils/cookie";
import { UnauthorizedError } from "../../errors.ts";

/** What a caller showed to say who it is. */
export interface Credentials {
  readonly token: string;
  readonly isCookie: boolean;
}

/**
 * The token of a request: from `Authorization: Bearer …`, or else from the cookie, where that is switched on. `Bearer` may be
 * left out, as clients of the original do.
 *
 * @throws {UnauthorizedError} when there is none
 */
export function credentialsOf(c: Context, cookie: string | undefined): Credentials {
  const header = c.req.header("authorization")?.trim();
  if (header) {
    const [, scheme, token] = /^(?:([^\s]+)\s+)?([^\s]+)$/.exec(header) ?? [];
    if (token !== undefined && (scheme === undefined || scheme.toLowerCase() === "bearer")) {
      return { token, isCookie: false };
    }
    throw new UnauthorizedError("Invalid authorization header: It must be Bearer, and one token");
  }
  if (cookie !== undefined) {
    const token = parse(c.req.header("cookie") ?? "", cookie)[cookie];
    if (token) return { token, isCookie: true };
    throw new UnauthorizedError(`Authorization header missing, and JWT cookie '${cookie}' missing`, {
      missing: true,
    });
  }
  throw new UnauthorizedError("Authorization header missing", { missing: true });
}
