import { Busboy, type BusboyInstance } from "@fastify/busboy";
import type { Context } from "hono";
import { InvalidRequestError, PayloadTooLargeError, UnsupportedMediaTypeError } from "../errors.ts";

/** A file of a form. */
export interface UploadedFile {
  field: string;
  filename: string;
  mimeType: string;
  bytes: Buffer;
}

/** A body that was read: fields as JSON gave them, or the texts of a form. */
export type ParsedBody =
  | { kind: "json"; value: unknown }
  | { kind: "form"; fields: Map<string, string>; files: UploadedFile[] };

/** Bytes that a body may have, by what it is. */
export interface BodyLimits {
  json: number;
  upload: number;
}

/** Fields and files that a form may have. */
const formLimits = { fields: 100, files: 50, parts: 150, headerPairs: 50 };

/**
 * Reads a body as JSON, an urlencoded form, or a multipart form.
 *
 * @throws {UnsupportedMediaTypeError} for any other type
 * @throws {PayloadTooLargeError} over the limit; what is over is not read
 * @throws {InvalidRequestError} when it is broken
 */
export async function readBody(c: Context, limits: BodyLimits): Promise<ParsedBody> {
  const contentType = c.req.header("content-type") ?? "";
  const mimeType = mimeTypeOf(contentType);
  switch (mimeType) {
    case "application/json":
      return { kind: "json", value: parseJson((await readBytes(c, limits.json)).toString("utf8")) };
    case "application/x-www-form-urlencoded": {
      const text = (await readBytes(c, limits.json)).toString("utf8");
      const fields = [...new URLSearchParams(text)];
      if (fields.length > formLimits.fields) {
        throw InvalidRequestError.field(["body"], `The body has more than ${formLimits.fields} fields`, {
          type: "form_too_many_fields",
        });
      }
      return { kind: "form", fields: new Map(fields), files: [] };
    }
    case "multipart/form-data":
      return parseMultipart(await readBytes(c, limits.upload), contentType, limits);
    default:
      throw new UnsupportedMediaTypeError(
        `The content type ${mimeType === "" ? "is missing" : `"${mimeType}" is not taken here`}. ` +
          "Send application/json, multipart/form-data or application/x-www-form-urlencoded.",
      );
  }
}

/**
 * Reads the body of an endpoint that takes JSON alone.
 *
 * @throws {UnsupportedMediaTypeError} for any other type
 * @throws {PayloadTooLargeError} over the limit
 * @throws {InvalidRequestError} when it is broken
 */
export async function readJson(c: Context, limits: Pick<BodyLimits, "json">): Promise<unknown> {
  const mimeType = mimeTypeOf(c.req.header("content-type") ?? "");
  if (mimeType !== "application/json") {
    throw new UnsupportedMediaTypeError(
      `The content type ${mimeType === "" ? "is missing" : `"${mimeType}" is not taken here`}. Send application/json.`,
    );
  }
  return parseJson((await readBytes(c, limits.json)).toString("utf8"));
}

function mimeTypeOf(contentType: string): string {
  return contentType.split(";", 1)[0]!.trim().toLowerCase();
}

async function readBytes(c: Context, limit: number): Promise<Buffer> {
  const encoding = c.req.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new UnsupportedMediaTypeError("The body is packed. Send it as it is, without Content-Encoding.");
  }
  const announced = Number(c.req.header("content-length") ?? 0);
  if (announced > limit) throw tooLarge(limit);
  try {
    // A body of known length cannot be longer than it says, and reading it in one go spares it a web stream.
    if (announced > 0) return Buffer.from(await c.req.arrayBuffer());
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of c.req.raw.body ?? []) {
      size += chunk.length;
      if (size > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof PayloadTooLargeError) throw error;
    throw new InvalidRequestError("The body did not arrive whole.");
  }
}

/** How deep JSON may be nested. Deeper one can be read, but not written again: writing is recursive. */
const depthLimit = 200;

/** Fields that JSON may have, those of its objects within included. */
const fieldLimit = 10_000;

/** What there is too much of in JSON, as the type of a fault and in words; undefined where it can be taken. */
export function excessOf(json: string): { type: string; words: string } | undefined {
  if (json.length < depthLimit) return undefined;
  let depth = 0;
  let fields = 0;
  let quoted = false;
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === '"') quoted = !quoted;
    else if (quoted) i += char === "\\" ? 1 : 0;
    else if (char === ":") fields++;
    else if (char === "[" || char === "{") depth++;
    else if (char === "]" || char === "}") depth--;
    if (depth > depthLimit) {
      return { type: "json_too_deep", words: `is nested deeper than ${depthLimit} levels` };
    }
    if (fields > fieldLimit) {
      return { type: "json_too_many_fields", words: `has more than ${fieldLimit} fields` };
    }
  }
  return undefined;
}

function parseJson(text: string): unknown {
  const excess = excessOf(text);
  if (excess) throw InvalidRequestError.field(["body"], `The body ${excess.words}`, { type: excess.type });
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw InvalidRequestError.field(["body"], `The body is not valid JSON: ${reason}`, {
      type: "json_invalid",
    });
  }
}

function parseMultipart(body: Buffer, contentType: string, limits: BodyLimits): Promise<ParsedBody> {
  return new Promise((resolve, reject) => {
    const fields = new Map<string, string>();
    const files: UploadedFile[] = [];
    const broken = (reason: string) =>
      reject(
        InvalidRequestError.field(["body"], `The multipart body is broken: ${reason}`, {
          type: "multipart_invalid",
        }),
      );
    let form: BusboyInstance;
    try {
      form = new Busboy({
        headers: { "content-type": contentType },
        limits: { ...formLimits, fieldSize: limits.json, fileSize: limits.upload },
      });
    } catch (error) {
      broken(error instanceof Error ? error.message : String(error));
      return;
    }
    form.on("field", (name, value, nameCut, valueCut) => {
      if (nameCut || valueCut) reject(tooLarge(limits.json));
      fields.set(name, value);
    });
    form.on("file", (field, stream, filename, _encoding, mimeType) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", (error: Error) => broken(error.message));
      stream.on("end", () =>
        files.push({ field, filename: filename ?? "", mimeType, bytes: Buffer.concat(chunks) }),
      );
    });
    for (const limit of ["fieldsLimit", "filesLimit", "partsLimit"] as const) {
      form.on(limit, () =>
        broken(`it has more than ${formLimits.fields} fields or ${formLimits.files} files`),
      );
    }
    form.on("error", (error: unknown) => broken(error instanceof Error ? error.message : String(error)));
    form.on("finish", () => resolve({ kind: "form", fields, files }));
    form.end(body);
  });
}

function tooLarge(limit: number): PayloadTooLargeError {
  return new PayloadTooLargeError(`The body is larger than ${limit} bytes, which is the limit here.`);
}
