import { describe, expect, test } from "vitest";
import { outputFromJsonSchema } from "../../src/agent/output.ts";

const object = (properties: object, more: object = {}) => ({ type: "object", properties, ...more });
const ref = { $ref: "#/$defs/node" };

function nested(levels: number, kind: string): string {
  return `${`{"kind":"${kind}","next":`.repeat(levels)}null${"}".repeat(levels)}`;
}

describe("an answer is held against a schema of a caller", () => {
  const branch = (kind: string) => object({ kind: { const: kind }, next: ref }, { required: ["kind"] });
  const twice = object(
    { root: ref },
    { $defs: { node: { anyOf: [{ type: "null" }, branch("a"), branch("b")] } } },
  );

  test("that looks at each part more than once", async () => {
    const { parse } = outputFromJsonSchema(twice);
    const answer = `{"root":${nested(5, "b")}}`;
    expect(await parse(answer)).toEqual(JSON.parse(answer));
  });

  test("but not where that takes for ever", async () => {
    await expect(outputFromJsonSchema(twice).parse(`{"root":${nested(40, "b")}}`)).rejects.toMatchObject({
      code: "output_schema_error",
      message: expect.stringContaining("too long"),
    });
  });

  test.each([400, 100_000])("but not where it is nested %i levels deep", async (levels) => {
    const list = object(
      { root: { anyOf: [{ type: "array", items: ref }] } },
      { $defs: { node: { type: "array", items: ref } } },
    );
    const answer = `{"root":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    await expect(outputFromJsonSchema(list).parse(answer)).rejects.toMatchObject({
      code: "output_schema_error",
      message: expect.stringContaining("deep"),
    });
  });

  test("but not where the stack cannot hold its levels and the schema's branches together", async () => {
    const branches = Array.from({ length: 40 }).reduce<object>((inner) => ({ anyOf: [inner] }), ref);
    const node = { type: "array", items: branches };
    const answer = `{"root":${"[".repeat(190)}${"]".repeat(190)}}`;
    await expect(
      outputFromJsonSchema(object({ root: ref }, { $defs: { node } })).parse(answer),
    ).rejects.toMatchObject({ code: "output_schema_error" });
  });

  test("that lists much", async () => {
    const rows = object({
      rows: { type: "array", items: object({ id: { type: "number" }, name: { type: "string" } }) },
    });
    const answer = { rows: Array.from({ length: 10_000 }, (_, id) => ({ id, name: "x" })) };
    expect(await outputFromJsonSchema(rows).parse(JSON.stringify(answer))).toEqual(answer);
  });

  test("and what is wrong with it is said in short", async () => {
    const rows = object({ rows: { type: "array", items: { type: "number" } } });
    const answer = { rows: Array.from({ length: 10_000 }, () => "x") };
    const failure = await outputFromJsonSchema(rows)
      .parse(JSON.stringify(answer))
      .catch((error: Error) => error.message);
    expect(String(failure).length).toBeLessThan(3000);
  });
});
