import { z } from "@hono/zod-openapi";
import { isReadable, longestName } from "../options.ts";

/** An id that a caller gives: of a session, a run, a user. */
export const identifier = z
  .string()
  .min(1)
  .max(longestName, `An id has at most ${longestName} characters`)
  .refine(isReadable, "An id may not hold control characters");

/** An id that may be left out; empty and null count as left out. */
export const optionalIdentifier = z
  .union([z.literal("").transform(() => undefined), z.null().transform(() => undefined), identifier])
  .optional();
