import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as an OTLP endpoint receives it. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  /** 1 internal, 3 client. */
  kind: number;
  start: bigint;
  end: bigint;
  attributes: Record<string, unknown>;
  /** 0 unset, 2 error. */
  status: { code: number; message: string };
  scope: string;
  resource: Record<string, unknown>;
}

/** An OTLP endpoint of our own: takes traces over HTTP as protobuf. */
export interface OtlpReceiver {
  url: string;
  spans: ReceivedSpan[];
  headers: Record<string, unknown>[];
  /** All that has come, as text with what is none in between. */
  text(): string;
  /** Answers each request with this from now on. */
  status: number;
  /** Takes requests from now on without an answer. */
  hold(): void;
  /** Answers those, and all later ones. */
  resume(): void;
  /** Resolves once so many spans have come. */
  received(count: number): Promise<ReceivedSpan[]>;
  close(): Promise<void>;
}

/** @see https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const waiting: (() => void)[] = [];
  const bodies: Buffer[] = [];
  let held: (() => void)[] | undefined;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    const answer = () => {
      if (request.url === "/v1/traces" && receiver.status === 200) {
        receiver.headers.push(request.headers);
        bodies.push(...chunks);
        receiver.spans.push(...spansOf(Buffer.concat(chunks)));
      }
      response.writeHead(receiver.status, { "content-type": "application/x-protobuf" }).end();
      for (const wake of waiting.splice(0)) wake();
    };
    request.on("end", () => (held ? held.push(answer) : answer()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    headers: [],
    text: () => Buffer.concat(bodies).toString("utf8"),
    status: 200,
    hold() {
      held = [];
    },
    resume() {
      const answers = held ?? [];
      held = undefined;
      for (const answer of answers) answer();
    },
    async received(count) {
      while (receiver.spans.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
      return receiver.spans;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}

type Field = bigint | Buffer;

/** The fields of a protobuf message by number. */
function fieldsOf(message: Buffer): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const bytes = (length: number) => {
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const key = Number(varint());
    const number = key >> 3;
    const type = key & 7;
    const value =
      type === 0
        ? varint()
        : type === 1
          ? bytes(8).readBigUInt64LE()
          : type === 5
            ? BigInt(bytes(4).readUInt32LE())
            : bytes(Number(varint()));
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

const messages = (fields: Map<number, Field[]>, number: number) =>
  (fields.get(number) ?? []).map((field) => fieldsOf(field as Buffer));
const text = (fields: Map<number, Field[]> | undefined, number: number) =>
  ((fields?.get(number)?.[0] ?? Buffer.alloc(0)) as Buffer).toString("utf8");
const hex = (fields: Map<number, Field[]>, number: number) =>
  ((fields.get(number)?.[0] ?? Buffer.alloc(0)) as Buffer).toString("hex");

function attributesOf(fields: Map<number, Field[]>, number: number): Record<string, unknown> {
  return Object.fromEntries(
    messages(fields, number).map((pair) => [text(pair, 1), anyValue(messages(pair, 2)[0]!)]),
  );
}

function anyValue(value: Map<number, Field[]>): unknown {
  if (value.has(1)) return text(value, 1);
  if (value.has(2)) return value.get(2)![0] === 1n;
  if (value.has(3)) return Number(value.get(3)![0]);
  if (value.has(4)) {
    const double = Buffer.alloc(8);
    double.writeBigUInt64LE(value.get(4)![0] as bigint);
    return double.readDoubleLE();
  }
  return messages(messages(value, 5)[0]!, 1).map(anyValue);
}

function spansOf(body: Buffer): ReceivedSpan[] {
  return messages(fieldsOf(body), 1).flatMap((ofResource) => {
    const resource = attributesOf(messages(ofResource, 1)[0]!, 1);
    return messages(ofResource, 2).flatMap((ofScope) => {
      const scope = text(messages(ofScope, 1)[0], 1);
      return messages(ofScope, 2).map((span) => {
        const status = messages(span, 15)[0];
        return {
          traceId: hex(span, 1),
          spanId: hex(span, 2),
          parentSpanId: hex(span, 4),
          name: text(span, 5),
          kind: Number(span.get(6)?.[0] ?? 0),
          start: (span.get(7)?.[0] ?? 0n) as bigint,
          end: (span.get(8)?.[0] ?? 0n) as bigint,
          attributes: attributesOf(span, 9),
          status: { code: Number(status?.get(3)?.[0] ?? 0), message: text(status, 2) },
          scope,
          resource,
        };
      });
    });
  });
}
