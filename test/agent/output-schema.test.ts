import { Agent, EchoModel } from "agentos-ts";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { ask, collect, createAgent } from "./create-agent.ts";

const city = z.object({ name: z.string(), population: z.int() }).meta({ title: "City" });

describe("an agent with an output schema", () => {
  test("answers an object that fits it, named for the schema", async () => {
    const { agent, mock } = await createAgent({ outputSchema: city });
    const run = await agent.run('[[say={"name":"Rome","population":2748109}]]');
    expect(run.content).toEqual({ name: "Rome", population: 2748109 });
    expect(run.contentType).toBe("City");
    expect(mock.requests[0]?.body.text).toMatchObject({ format: { type: "json_schema", name: "City" } });
  });

  test("gives what the schema makes of the answer, and stores the answer as it came", async () => {
    const { agent } = await createAgent({
      outputSchema: z.object({ on: z.iso.date() }).transform(({ on }) => new Date(on)),
    });
    const run = await agent.run('[[say={"on":"2026-01-31"}]]');
    expect(run.content).toEqual(new Date("2026-01-31"));
    expect(await ask(agent, `/agents/copilot/runs/${run.runId}`)).toMatchObject({
      content: { on: "2026-01-31" },
    });
  });

  test.each([
    ["does not fit", '[[say={"name":"Rome"}]]', /does not fit the output schema/],
    ["is no JSON", "[[say=Rome]]", /not the JSON/],
  ])("fails when the answer %s", async (_name, message, reason) => {
    const { agent } = await createAgent({ outputSchema: city });
    await expect(agent.run(message)).rejects.toMatchObject({
      code: "output_schema_error",
      message: expect.stringMatching(reason),
    });
  });

  test("streams the answer as text, and ends with the object", async () => {
    const { agent } = await createAgent({ outputSchema: city });
    const events = await collect(agent.stream('[[say={"name":"Rome", "population":1}]]'));
    const text = events.map((event) => (event.event === "RunContent" ? event.content : "")).join("");
    expect(JSON.parse(text)).toEqual({ name: "Rome", population: 1 });
    expect(events.at(-1)).toMatchObject({
      content: { name: "Rome", population: 1 },
      content_type: "City",
    });
  });

  test("works offline too: the echo model fills the shape", async () => {
    const agent = new Agent({ id: "copilot", model: new EchoModel(), outputSchema: city });
    const { content } = await agent.run("Rome");
    expect(city.parse(content)).toEqual(content);
  });
});

describe("a run's own output schema", () => {
  test("gives an agent without one a typed answer", async () => {
    const { agent } = await createAgent();
    const { content } = await agent.run('[[say={"ok":true}]]', {
      outputSchema: z.object({ ok: z.boolean() }),
    });
    expect(content).toEqual({ ok: true });
  });

  test("takes the place of the agent's, for this run alone", async () => {
    const { agent } = await createAgent({ outputSchema: city });
    const { content } = await agent.run('[[say={"ok":true}]]', {
      outputSchema: z.object({ ok: z.boolean() }),
    });
    expect(content.ok).toBe(true);
    await expect(agent.run('[[say={"ok":true}]]')).rejects.toMatchObject({ code: "output_schema_error" });
  });
});
