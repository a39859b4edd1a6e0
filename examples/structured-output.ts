/**
 * Structured output, without any server: the answer is an object of the schema's type.
 *
 *   node --conditions=agentos-source examples/structured-output.ts "The invoice of May was charged twice!"
 */
import { Agent, databaseFromEnvironment, modelFromEnvironment } from "agentos-ts";
import * as z from "zod";

const ticket = z
  .object({
    title: z.string(),
    area: z.enum(["billing", "bug", "question"]),
    urgent: z.boolean(),
  })
  .meta({ title: "Ticket" });

const db = databaseFromEnvironment();

const triage = new Agent({
  id: "triage",
  instructions: "Make a ticket of what the customer writes.",
  model: modelFromEnvironment(),
  db,
  outputSchema: ticket,
});

const message = process.argv[2] ?? "The invoice of May was charged twice!";
const { content } = await triage.run(message, { userId: "sarah@acme.com" });

// `content` has the type of the schema.
console.log(`${content.urgent ? "URGENT " : ""}${content.area}: ${content.title}`);

// A run may bring a schema of its own.
const mood = await triage.run(message, { outputSchema: z.object({ angry: z.boolean() }) });
console.log(mood.content.angry ? "The customer is angry." : "The customer is calm.");

await db.close();
