import { Agent, EchoModel } from "agentos-ts";

/** A program with a wrong option that it copes with, and a bug that it does not know of. */
try {
  new Agent({ id: "has space", model: new EchoModel() });
} catch {}
throw new TypeError("a bug");
