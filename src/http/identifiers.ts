import { z } from "@hono/zod-openapi";

/** Characters that an id or a name may not have: control characters, and halves of a pair, which no text can hold. */
export const readable = (id: string) => !/[\u0000-\u001f\u007f]/.test(id) && id.isWellFormed();

/** An id that a caller gives: of a session, a run, a user. */
export const identifier = z
  .string()
  .min(1)
  .max(255, "An id has at most 255 characters")
  .refine(readable, "An id may not hold control characters");

/** An id that may be left out; empty and null count as left out. */
export const optionalIdentifier = z
  .union([z.literal("").transform(() => undefined), z.null().transform(() => undefined), identifier])
  .optional();
