import { describe, expect, test } from "vitest";
import * as z from "zod";
import { EchoModel } from "../../src/models/echo.ts";
import { collect, message, only, textOf, turn } from "../support/model-turns.ts";

describe("the offline model", () => {
  test("says what it is, and back what it was told", async () => {
    const events = await collect(new EchoModel().generate(turn("Hello there")));
    expect(textOf(events)).toBe(
      "[offline echo model: set OPENAI_API_KEY for a real one] You said: Hello there",
    );
  });

  test("streams word by word, and answers in one piece where nobody streams", async () => {
    const model = new EchoModel();
    const streamed = await collect(model.generate(turn("Hello there")));
    const whole = await collect(model.generate(turn("Hello there", { stream: false })));
    expect(only(streamed, "text").length).toBeGreaterThan(5);
    expect(only(whole, "text")).toHaveLength(1);
    expect(textOf(whole)).toBe(textOf(streamed));
  });

  test("counts words as tokens", async () => {
    const request = turn("", { messages: [message("system", "Be kind."), message("user", "Hello there")] });
    const model = new EchoModel({ respond: () => "one two three" });
    expect((await collect(model.generate(request))).at(-1)).toMatchObject({
      type: "finish",
      finishReason: "stop",
      usage: { input_tokens: 4, output_tokens: 3, total_tokens: 7 },
    });
  });

  test("fills an output schema with the message", async () => {
    const place = z.object({ name: z.string(), since: z.int().min(1000), kind: z.enum(["city", "river"]) });
    const schema = z.object({
      title: z.string(),
      size: z.number(),
      open: z.boolean(),
      tags: z.array(z.string()),
      stops: z.array(place).min(2),
      start: place,
      note: z.string().nullable(),
      short: z.string().max(5),
      choice: z.union([z.literal("x"), z.number()]),
      day: z.iso.date(),
      mail: z.email(),
      both: z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })),
    });
    const output = { name: "trip", schema: z.toJSONSchema(schema) };
    const events = await collect(new EchoModel().generate(turn("Rome", { output })));
    const answer = schema.parse(JSON.parse(textOf(events)));
    expect(answer).toMatchObject({ size: 0, open: false, tags: [], start: { kind: "city", since: 1000 } });
    expect(answer.title).toContain("You said: Rome");
  });

  test("ends on a schema that refers to itself", async () => {
    const schema = {
      type: "object",
      properties: {
        name: { type: "string" },
        children: { type: "array", items: { $ref: "#" } },
        next: { $ref: "#" },
      },
      required: ["name"],
    };
    const output = { name: "tree", schema };
    const events = await collect(new EchoModel().generate(turn("root", { output })));
    expect(JSON.parse(textOf(events))).toMatchObject({ children: [], next: { children: [] } });
  });

  test("plays the part that a test gives it", async () => {
    const model = new EchoModel({
      respond: ({ messages }) =>
        messages.at(-1)?.role === "tool"
          ? "It is sunny."
          : [{ type: "tool-call", id: "1", callId: "1", name: "weather", arguments: "{}" }],
    });
    const first = await collect(model.generate(turn("How is the weather?")));
    expect(first.map((event) => event.type)).toEqual(["tool-call", "finish"]);
    expect(first.at(-1)).toMatchObject({ finishReason: "tool-calls" });
    const next = turn("", { messages: [message("tool", "sunny", { tool_call_id: "1" })] });
    expect(textOf(await collect(model.generate(next)))).toBe("It is sunny.");
  });

  test("stops in the middle of a pause when nobody wants the answer any more", async () => {
    const model = new EchoModel({ delay: 60_000 });
    const reason = new Error("enough");
    const controller = new AbortController();
    const next = model.generate(turn("Hello", { signal: controller.signal })).next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
  });
});
