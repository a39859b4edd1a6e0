/**
 * A stream without any server: words as they come, then what the run used. Ctrl-C cancels the run.
 *
 *   node --conditions=agentos-source examples/stream-in-process.ts "Tell me a story"
 */
import { Agent, databaseFromEnvironment, modelFromEnvironment } from "agentos-ts";

const db = databaseFromEnvironment();
const teller = new Agent({ id: "teller", model: modelFromEnvironment(), db });

const controller = new AbortController();
process.once("SIGINT", () => controller.abort());

const message = process.argv[2] ?? "Tell me a story";
for await (const event of teller.stream(message, { signal: controller.signal })) {
  switch (event.event) {
    case "RunContent":
      process.stdout.write(event.content);
      break;
    case "RunCompleted":
      console.log(`\n(${event.metrics.total_tokens} tokens)`);
      break;
    case "RunCancelled":
      console.log("\n(cancelled)");
      break;
    case "RunError":
      console.error(event.content);
      process.exitCode = 1;
      break;
  }
}

await db.close();
