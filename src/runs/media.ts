import { createHash } from "node:crypto";
import { extname } from "node:path";
import type { StoredMedia } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import { newId } from "../events/ids.ts";
import { type MediaReference, type Message, mediaIn } from "../events/messages.ts";
import type { Attachment } from "../models/model.ts";

/** The files of a run as they are stored, and as its message names them. */
export interface RunMedia {
  stored: StoredMedia[];
  references: Pick<Message, "files" | "images" | "audio">;
}

/** Gives each file an id, and its bytes the name of their content. */
export function mediaOf(attachments: readonly Attachment[]): RunMedia {
  const stored: StoredMedia[] = [];
  const references: RunMedia["references"] = {};
  for (const { kind, filename, mime_type, bytes } of attachments) {
    const mediaId = newId();
    stored.push({
      mediaId,
      sha256: createHash("sha256").update(bytes).digest("hex"),
      filename,
      mimeType: mime_type,
      bytes,
    });
    const reference: MediaReference = {
      id: mediaId,
      filename,
      mime_type,
      format: extname(filename).slice(1) || mime_type.slice(mime_type.indexOf("/") + 1),
      size: bytes.length,
      url: `/media/${mediaId}`,
    };
    const list = kind === "image" ? "images" : kind === "audio" ? "audio" : "files";
    references[list] = [...(references[list] ?? []), reference];
  }
  return { stored, references };
}

/** A stored file as the model gets it. */
export function attachmentOf({ filename, mimeType, bytes }: StoredMedia): Attachment {
  return { kind: kindOf(mimeType), filename, mime_type: mimeType, bytes };
}

/** How a file is shown to a model, by its MIME type. */
export function kindOf(mimeType: string): Attachment["kind"] {
  if (mimeType.startsWith("image/")) return "image";
  return mimeType.startsWith("audio/") ? "audio" : "file";
}

/** The files that a message names, with their bytes, in its order. */
export async function attachmentsOf(message: RunMedia["references"], store: Store): Promise<Attachment[]> {
  const ids = mediaIn(message).map(({ id }) => id);
  const files = await store.media.many(ids);
  return ids.flatMap((id) => files.get(id) ?? []).map(attachmentOf);
}
