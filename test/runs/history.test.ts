import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/server.ts";

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({ db: engine.connect(await engine.createLocation()) });
  });
  afterAll(() => server.close());

  test("the model is shown what was said before in the session, and only there", async () => {
    await server.run({ message: "my name is Ada", session_id: "one", stream: false });
    await server.run({ message: "and in here?", session_id: "two", stream: false });
    const answer = await (
      await server.run({ message: "who am I?", session_id: "one", stream: false })
    ).json();
    expect(answer).toMatchObject({ status: "completed", session_id: "one" });
    const asked = server.model.requests.at(-1)?.body as { input: { role: string; content: string }[] };
    expect(asked.input.map(({ content }) => content)).toEqual([
      "my name is Ada",
      expect.stringContaining("You said: my name is Ada"),
      "who am I?",
    ]);
  });
});
