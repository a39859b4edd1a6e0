import { describe, expect, test } from "vitest";
import { collect, createAgent } from "./create-agent.ts";

describe("a model call that fails", () => {
  test.each([429, 500, 503])(
    "with %i is tried again, and the run goes on as if nothing was",
    async (status) => {
      const { agent, mock } = await createAgent();
      const events = await collect(agent.stream(`[[errors=2:${status}]] hello`));
      expect(mock.requests).toHaveLength(3);
      expect(events.at(-1)).toMatchObject({
        event: "RunCompleted",
        content: expect.stringContaining("hello"),
      });
      expect(events.filter(({ event }) => event === "ModelRequestStarted")).toHaveLength(1);
    },
  );

  test("before any content of a stream came is tried again", async () => {
    const { agent, mock } = await createAgent({ retries: 2 });
    await expect(collect(agent.stream("[[say=never]] [[drop=0]]"))).resolves.toContainEqual(
      expect.objectContaining({ event: "RunError", error_type: "model_error" }),
    );
    expect(mock.requests).toHaveLength(3);
  });

  test("after content came is not: nothing is said twice", async () => {
    const { agent, mock } = await createAgent();
    const events = await collect(agent.stream("[[tokens=10]] [[drop=3]]"));
    expect(mock.requests).toHaveLength(1);
    const said = events.filter(({ event }) => event === "RunContent");
    expect(said).toHaveLength(3);
    expect(events.at(-1)).toMatchObject({ event: "RunError", error_type: "model_error" });
  });

  test.each([400, 401, 404])("with %i is not: it would fail again", async (status) => {
    const { agent, mock } = await createAgent();
    await expect(agent.run(`[[error=${status}]]`)).rejects.toMatchObject({ code: "model_error" });
    expect(mock.requests).toHaveLength(1);
  });

  test("as often as it may ends the run, with a reason that a user can act on", async () => {
    const { agent, mock } = await createAgent({ retries: 1 });
    await expect(agent.run("[[error=503]]")).rejects.toMatchObject({
      code: "model_error",
      message: expect.stringMatching(/503|try again/i),
    });
    expect(mock.requests).toHaveLength(2);
  });

  test("is not tried again where retries is 0", async () => {
    const { agent, mock } = await createAgent({ retries: 0 });
    await expect(agent.run("[[error=503]]")).rejects.toMatchObject({ code: "model_error" });
    expect(mock.requests).toHaveLength(1);
  });
});
