/** A type whose arrays can be sent. */
export type ArrayType = "text" | "int" | "bigint" | "float8";

/** The number by which PostgreSQL knows a type, its `oid`. */
const oids: Record<ArrayType, number> = { text: 25, int: 23, bigint: 20, float8: 701 };

/** Bytes that an array has before its first element. */
const headerLength = 20;

/** The most bytes that UTF-8 takes for a unit of a JavaScript string. */
const bytesPerUnit = 3;

/**
 * A column of a batch as a value that PostgreSQL takes in binary: neither side has anything to quote or to look for.
 *
 * @see https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES
 */
export function binaryArray(type: ArrayType, values: readonly unknown[]): Buffer {
  const buffer = Buffer.allocUnsafe(
    headerLength + values.reduce((sum: number, value) => sum + most(value), 0),
  );
  buffer.writeInt32BE(1, 0);
  // Whether one may be null: PostgreSQL looks for itself.
  buffer.writeInt32BE(0, 4);
  buffer.writeInt32BE(oids[type], 8);
  buffer.writeInt32BE(values.length, 12);
  buffer.writeInt32BE(1, 16);
  let at = headerLength;
  for (const value of values) {
    let length = -1;
    if (typeof value === "string") {
      length = buffer.write(value, at + 4, "utf8");
    } else if (type === "int" && value !== null) {
      length = 4;
      buffer.writeInt32BE(Number(value), at + 4);
    } else if (type === "float8" && value !== null) {
      length = 8;
      buffer.writeDoubleBE(Number(value), at + 4);
    } else if (value !== null) {
      length = 8;
      buffer.writeBigInt64BE(BigInt(value as number), at + 4);
    }
    buffer.writeInt32BE(length, at);
    at += 4 + Math.max(0, length);
  }
  return buffer.subarray(0, at);
}

function most(value: unknown): number {
  return 4 + (typeof value === "string" ? value.length * bytesPerUnit : 8);
}
