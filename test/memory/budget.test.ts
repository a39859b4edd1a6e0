import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { remember } from "../support/memories.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("1,000 memories of one user, on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { enableAgenticMemory: true },
    });
    const texts = Array.from({ length: 1000 }, (_, i) => `Noted on day ${i} that the weather was as usual`);
    texts[3] = "Is allergic to hazelnuts, and carries a spray";
    texts[500] = "Keeps a tortoise named Archimedes";
    texts[996] = `Wrote a long letter: ${"word ".repeat(950)}`;
    for (let i = 0; i < texts.length; i += 50) {
      await Promise.all(texts.slice(i, i + 50).map((text) => remember(server.url, "ada", text)));
    }
    await remember(server.url, "ada", "Moved to Bergen today");
    await remember(server.url, "eve", "Is allergic to hazelnuts too, says eve");
  }, 120_000);
  afterAll(() => server.close());

  async function promptFor(message: string): Promise<string> {
    await server.run({ message, user_id: "ada", stream: false });
    const { input } = server.model.requests.at(-1)?.body ?? {};
    return input[0].content;
  }
  const linesOf = (prompt: string) => prompt.split("\n").filter((line) => line.startsWith("- ["));

  test("do not grow the prompt beyond its budget", async () => {
    const lines = linesOf(await promptFor("hello"));
    const size = lines.join("\n").length;
    expect(size).toBeLessThanOrEqual(8000);
    expect(size).toBeGreaterThan(6000);
    expect(new Set(lines).size).toBe(lines.length);
  });

  test("the latest are there, and those that the message is about, however old", async () => {
    const prompt = await promptFor("Can I eat a cake with hazelnuts? And what may my tortoise have?");
    expect(prompt).toContain("Moved to Bergen today");
    expect(prompt).toContain("allergic to hazelnuts, and carries");
    expect(prompt).toContain("Archimedes");
    expect(prompt).not.toContain("says eve");
    expect(linesOf(prompt).length).toBeGreaterThan(20);
    expect(linesOf(prompt).join("\n").length).toBeLessThanOrEqual(8000);
  });

  test.each(["", "?!", "\u0000", "'\"&|!<->:*", "a b c d e f g h i j k l m n o p q r s t u v w x y z"])(
    "a message of %o finds the latest",
    async (words) => {
      expect(await promptFor(`${words}.`)).toContain("Moved to Bergen today");
    },
  );
});

describe.each(engines)("a budget of its own, on $name", (engine) => {
  test("is kept to, and what is too long for it is left out", async () => {
    const server = await startServer({
      db: engine.connect(await engine.createLocation()),
      agent: { enableAgenticMemory: true, memoryBudget: 500 },
    });
    await remember(server.url, "ada", "Likes tea");
    await remember(server.url, "ada", "x".repeat(600));
    for (let i = 0; i < 20; i++) await remember(server.url, "ada", `Fact ${i}`);
    await server.run({ message: "what about tea?", user_id: "ada", stream: false });
    const prompt: string = server.model.requests.at(-1)?.body.input[0].content;
    const lines = prompt.split("\n").filter((line) => line.startsWith("- ["));
    expect(lines.join("\n").length).toBeLessThanOrEqual(500);
    expect(lines.length).toBeGreaterThan(5);
    expect(prompt).toContain("Likes tea");
    expect(prompt).toContain("Fact 19");
    expect(prompt).not.toContain("xxx");
    await server.close();
  });
});
