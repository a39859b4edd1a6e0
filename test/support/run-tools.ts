import { tool } from "agentos-ts";
import * as z from "zod";

/** Tools for runs under test. */
export const add = tool({
  name: "add",
  description: "Adds two numbers.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  execute: ({ a, b }) => String(a + b),
});

export const boom = tool({
  name: "boom",
  description: "Always fails.",
  inputSchema: z.object({}),
  execute: () => {
    throw new Error("the boom");
  },
});

/** Writes one key of the session's state. */
export const remember = tool({
  name: "remember",
  description: "Keeps a value.",
  inputSchema: z.object({ key: z.string(), value: z.string() }),
  execute: ({ key, value }, { sessionState }) => {
    sessionState[key] = value;
    return "kept";
  },
});

export const forget = tool({
  name: "forget",
  description: "Deletes a value.",
  inputSchema: z.object({ key: z.string() }),
  execute: ({ key }, { sessionState }) => {
    delete sessionState[key];
    return "gone";
  },
});

/** Waits until somebody allows it. */
export const wipe = tool({
  name: "wipe",
  description: "Wipes a path.",
  inputSchema: z.object({ path: z.string() }),
  requiresConfirmation: true,
  execute: ({ path }) => `wiped ${path}`,
});
