import { extname } from "node:path";
import { z } from "@hono/zod-openapi";
import { type OutputSchema, outputFromJsonSchema } from "../agent/output.ts";
import { type BusyPolicy, busyPolicies } from "../agent/runner.ts";
import { InvalidRequestError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../events/json.ts";
import type { Attachment } from "../models/model.ts";
import { shapes } from "../options.ts";
import { kindOf } from "../runs/media.ts";
import { excessOf, type ParsedBody, type UploadedFile } from "./body.ts";
import { fromZod } from "./errors.ts";
import { optionalIdentifier } from "./identifiers.ts";

const object = z.custom<JsonObject>(isJsonObject, "Input should be a JSON object");

/** The fields of a new run. What is not here is refused. */
export const runFields = z.strictObject({
  message: z.string().refine(shapes.message.fits, "The message is empty"),
  stream: z.boolean().nullish(),
  session_id: optionalIdentifier,
  user_id: optionalIdentifier,
  session_state: object.nullish(),
  metadata: z.unknown().optional(),
  dependencies: object.nullish(),
  output_schema: object.nullish(),
  background: z.boolean().nullish(),
  on_busy: z.enum(busyPolicies).nullish(),
  cancel_on_disconnect: z.boolean().nullish(),
});

/** A new run as a caller asked for it. */
export interface RunFields {
  message: string;
  /** Undefined where nothing is said of it. */
  stream: boolean | undefined;
  background: boolean;
  onBusy: BusyPolicy | undefined;
  sessionId: string | undefined;
  userId: string | undefined;
  sessionState: JsonObject | undefined;
  metadata: JsonObject | undefined;
  dependencies: JsonObject | undefined;
  output: OutputSchema | undefined;
  attachments: Attachment[];
  /** Whether the run is cancelled when its caller goes away. */
  cancelOnDisconnect: boolean;
}

/**
 * Makes a run's fields of a body, whatever its type.
 *
 * @throws {InvalidRequestError} that names every field that is wrong
 */
export function parseRunFields(body: ParsedBody): RunFields {
  const input = typedBody(body);
  if (!isJsonObject(input))
    throw InvalidRequestError.field(["body"], "Input should be a JSON object", { input });
  const parsed = runFields.safeParse(input);
  if (!parsed.success) throw fromZod(parsed.error, "body", input);
  const fields = parsed.data;
  if (fields.background === true && fields.cancel_on_disconnect === true) {
    throw InvalidRequestError.field(
      ["body", "cancel_on_disconnect"],
      "A background run goes on when its caller goes away. Leave one of the two out",
      { input: true },
    );
  }
  if (fields.metadata !== undefined && fields.metadata !== null && !isJsonObject(fields.metadata)) {
    throw new InvalidRequestError("metadata: Input should be a JSON object");
  }
  return {
    message: fields.message,
    stream: fields.stream ?? undefined,
    background: fields.background ?? false,
    onBusy: fields.on_busy ?? undefined,
    sessionId: fields.session_id,
    userId: fields.user_id,
    sessionState: fields.session_state ?? undefined,
    metadata: (fields.metadata as JsonObject | null | undefined) ?? undefined,
    dependencies: fields.dependencies ?? undefined,
    output: outputOf(fields.output_schema ?? undefined),
    cancelOnDisconnect: fields.cancel_on_disconnect ?? false,
    attachments: body.kind === "form" ? body.files.map(attachmentOf) : [],
  };
}

/** The fields of a body, with their types: the same request gives the same, whatever it was sent as. */
export function typedBody(body: ParsedBody): unknown {
  return body.kind === "json" ? body.value : typedForm(body.fields);
}

function outputOf(schema: JsonObject | undefined): OutputSchema | undefined {
  if (schema === undefined) return undefined;
  try {
    return outputFromJsonSchema(schema);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw InvalidRequestError.field(
      ["body", "output_schema"],
      `Not a JSON schema that can be used: ${reason}`,
      {
        input: schema,
      },
    );
  }
}

const booleans: Record<string, boolean> = {
  true: true,
  "1": true,
  yes: true,
  on: true,
  false: false,
  "0": false,
  no: false,
  off: false,
};

/** A form knows texts only: each field gets the type that JSON would have given it. A broken one stays a text. */
function typedForm(fields: ReadonlyMap<string, string>): JsonObject {
  const typed: JsonObject = Object.create(null) as JsonObject;
  for (const [name, text] of fields) typed[name] = typedField(name, text);
  return { ...typed };
}

function typedField(name: string, text: string): unknown {
  switch (name) {
    case "stream":
    case "background":
    case "cancel_on_disconnect":
    case "fork":
    case "regenerate":
    case "replace_original":
      return text === "" ? null : (booleans[text.toLowerCase()] ?? text);
    case "session_state":
    case "metadata":
    case "dependencies":
    case "output_schema":
    case "tools":
      if (text === "") return null;
      if (excessOf(text)) return text;
      try {
        return JSON.parse(text) as unknown;
      } catch {
        // A text is no object and no list, so the schema refuses it, with what was sent.
        return text;
      }
    case "on_busy":
      return text === "" ? null : text;
    default:
      return text;
  }
}

/** MIME types of files that models are shown, by extension: for uploads that do not say what they are. */
const mimeTypes: Record<string, string> = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".wav": "audio/wav",
  ".mp3": "audio/mpeg",
  ".m4a": "audio/mp4",
  ".ogg": "audio/ogg",
  ".flac": "audio/flac",
  ".pdf": "application/pdf",
  ".json": "application/json",
  ".xml": "application/xml",
  ".txt": "text/plain",
  ".md": "text/markdown",
  ".csv": "text/csv",
  ".html": "text/html",
};

const taken = new Set([
  "image/png",
  "image/jpeg",
  "image/gif",
  "image/webp",
  "application/pdf",
  "application/json",
  "application/xml",
]);

function attachmentOf(file: UploadedFile): Attachment {
  if (file.field !== "files") {
    throw InvalidRequestError.field(["body", file.field], "Extra inputs are not permitted", {
      type: "extra_forbidden",
    });
  }
  const filename = [...(file.filename.split(/[\\/]/).at(-1) ?? "")]
    .filter((c) => c >= " " && c !== "\u007f" && c.isWellFormed())
    .slice(0, 255)
    .join("");
  const given = file.mimeType.toLowerCase();
  const mime_type =
    given === "" || given === "application/octet-stream" ? mimeTypes[extname(filename).toLowerCase()] : given;
  if (mime_type === undefined || !(taken.has(mime_type) || /^(?:text|audio)\/[\w.+-]+$/.test(mime_type))) {
    throw new InvalidRequestError(
      `files: "${filename}" is of type ${file.mimeType}, which is not taken. Send images, audio, PDF or text.`,
    );
  }
  if (file.bytes.length === 0) throw new InvalidRequestError(`files: "${filename}" is empty.`);
  return {
    kind: kindOf(mime_type),
    filename: filename === "" ? "file" : filename,
    mime_type,
    bytes: file.bytes,
  };
}
