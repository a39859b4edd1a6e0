import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { countRows } from "../support/second-connection.ts";
import { startServer, type TestServer } from "../support/server.ts";

const kinds = [
  ["images", "photo.png", "image/png", "input_image"],
  ["images", "photo.jpg", "image/jpeg", "input_image"],
  ["audio", "voice.wav", "audio/wav", "input_audio"],
  ["files", "paper.pdf", "application/pdf", "input_file"],
  ["files", "notes.txt", "text/plain", "input_file"],
  ["files", "data.json", "application/json", "input_file"],
  ["files", "table.csv", "text/csv", "input_file"],
] as const;

describe.each(engines)("on $name", (engine) => {
  let server: TestServer;
  let location: string;

  beforeAll(async () => {
    location = await engine.createLocation();
    server = await startServer({ db: engine.connect(location) });
  });
  afterAll(() => server.close());

  function send(
    files: [bytes: Uint8Array<ArrayBuffer>, name: string, type: string][],
    fields: object = {},
  ): Promise<Response> {
    const form = new FormData();
    for (const [name, value] of Object.entries({ message: "look", stream: "false", ...fields }))
      form.set(name, value);
    for (const [bytes, name, type] of files) form.append("files", new Blob([bytes], { type }), name);
    return fetch(`${server.url}/agents/copilot/runs`, { method: "POST", body: form });
  }

  const bytesAt = async (url: string) => Buffer.from(await (await fetch(server.url + url)).arrayBuffer());
  const random = (size: number) => new Uint8Array(randomBytes(size));

  test.each(kinds)(
    "of %s, %s reaches the model and comes back byte for byte",
    async (list, name, type, part) => {
      const bytes = random(10_000);
      const run = await (await send([[bytes, name, type]])).json();
      const [reference] = run.input[list];
      expect(reference).toMatchObject({
        filename: name,
        mime_type: type,
        size: 10_000,
        format: name.split(".")[1],
      });
      expect(await bytesAt(reference.url)).toEqual(Buffer.from(bytes));
      const asked = server.model.requests.at(-1)?.body["input"] as { content: { type: string }[] }[];
      const content = asked[0]?.content ?? [];
      expect(content.map((piece) => piece.type)).toEqual(["input_text", part]);
      expect(JSON.stringify(content)).toContain(Buffer.from(bytes).toString("base64"));
    },
  );

  test("answers name files and leave their bytes out", async () => {
    const bytes = random(3000);
    const text = await (await send([[bytes, "a.png", "image/png"]])).text();
    expect(text).not.toContain(Buffer.from(bytes).toString("base64").slice(0, 100));
    expect(JSON.parse(text).messages[0].images).toHaveLength(1);
  });

  test("the same content is stored once, whoever sends it and under whatever name", async () => {
    const before = await countRows(engine, location);
    const bytes = random(5000);
    for (const user_id of ["ada", "eve"]) {
      const answer = await send(
        [
          [bytes, `${user_id}.png`, "image/png"],
          [bytes, "again.txt", "text/plain"],
        ],
        { user_id },
      );
      expect(answer.status).toBe(200);
    }
    const after = await countRows(engine, location);
    expect([after["media"]! - before["media"]!, after["run_media"]! - before["run_media"]!]).toEqual([1, 4]);
  });

  test("many runs that send the same new content at once all succeed", async () => {
    const [one, two] = [random(2000), random(2000)];
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => {
        const files: [Uint8Array<ArrayBuffer>, string, string][] = [
          [one, "a.png", "image/png"],
          [two, "b.png", "image/png"],
        ];
        return send(i % 2 ? files : files.toReversed());
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });

  test.each([
    ["a name of other scripts", "résumé 名前 👩‍👩‍👧.txt"],
    ["a name with quotes and semicolons", `a";b'=c%20.txt`],
    ["a path", "../../etc/passwd.txt"],
    ["a long name that ends in the middle of an emoji", `${"x".repeat(254)}👩.txt`],
    ["no extension", "README"],
  ])("a file with %s is kept and can be read again", async (_, name) => {
    const run = await (await send([[new Uint8Array([65, 66]), name, "text/plain"]])).json();
    const [reference] = run.input.files;
    expect(reference.filename).not.toContain("/");
    expect(reference.filename.isWellFormed()).toBe(true);
    const answer = await fetch(server.url + reference.url);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe("AB");
  });

  test("a file never runs as a page of the server", async () => {
    const page = new TextEncoder().encode("<script>alert(1)</script>");
    const run = await (await send([[page, "x.html", "text/html"]])).json();
    const { headers } = await fetch(server.url + run.input.files[0].url);
    expect(headers.get("content-disposition")).toMatch(/^attachment/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toContain("sandbox");
  });

  test("a type that is not given is taken from the name", async () => {
    const run = await (await send([[random(10), "photo.PNG", ""]])).json();
    expect(run.input.images).toMatchObject([{ mime_type: "image/png" }]);
  });

  test("an unknown file is 404", async () => {
    expect((await fetch(`${server.url}/media/019ab3f0-6f1e-7c3a-9c55-0d6f1f1f7b11`)).status).toBe(404);
  });
});
