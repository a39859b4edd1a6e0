import { describe, expect, test } from "vitest";
import { SseParser } from "../../src/models/sse.ts";

function parse(...chunks: (string | Uint8Array)[]) {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk));
}

describe("an event stream", () => {
  test("gives each event with its name and data", () => {
    expect(parse("event: a\ndata: 1\n\nevent: b\ndata: 2\n\n")).toEqual([
      { event: "a", data: "1" },
      { event: "b", data: "2" },
    ]);
  });

  test("may have Windows line ends", () => {
    expect(parse("event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n")).toEqual([
      { event: "a", data: "1" },
      { event: "", data: "2" },
    ]);
  });

  test("gives several data lines as one text", () => {
    expect(parse("data: 1\ndata\ndata:\ndata:2\n\n")).toEqual([{ event: "", data: "1\n\n\n2" }]);
  });

  test("takes one space after the colon away, no more", () => {
    expect(parse("data:  x\n\n")).toEqual([{ event: "", data: " x" }]);
  });

  test("passes over comments, unknown fields and events without data", () => {
    expect(parse(": ping\n\nevent: empty\n\nid: 1\nretry: 5\ndatax: no\ndata: yes\n\n")).toEqual([
      { event: "", data: "yes" },
    ]);
  });

  test("may begin with a byte order mark", () => {
    expect(parse("\uFEFFdata: 1\n\n")).toEqual([{ event: "", data: "1" }]);
  });

  test("does not give an event that was cut off", () => {
    expect(parse("data: 1\n\ndata: 2\n")).toEqual([{ event: "", data: "1" }]);
  });

  test("reads the same wherever the network cuts it", () => {
    const text = "\uFEFFevent: é\r\ndata: zażółć 🦀\r\n: x\r\n\r\ndata: 日本\ndata: 語\n\n";
    const bytes = Buffer.from(text);
    const whole = parse(bytes);
    expect(whole).toEqual([
      { event: "é", data: "zażółć 🦀" },
      { event: "", data: "日本\n語" },
    ]);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(parse(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(whole);
    }
    expect(parse(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });
});
