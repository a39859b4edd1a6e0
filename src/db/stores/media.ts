import type { Engine } from "../engine.ts";
import type { StoredMedia } from "../records.ts";
import type { Scope } from "./scope.ts";

/** The files of runs. */
export class MediaStore {
  readonly #engine: Engine;
  readonly #scope: Scope;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /** A file of a run that the principal may see. */
  async get(mediaId: string): Promise<(StoredMedia & { agentId: string }) | undefined> {
    return (await this.many([mediaId])).get(mediaId);
  }

  /** Those of the files that the principal may see, by id. */
  async many(ids: readonly string[]): Promise<Map<string, StoredMedia & { agentId: string }>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#engine.db
      .selectFrom("run_media")
      .innerJoin("media", "media.sha256", "run_media.sha256")
      .innerJoin("runs", "runs.run_id", "run_media.run_id")
      .select(["media_id", "run_media.sha256", "filename", "mime_type", "bytes", "runs.agent_id"])
      .where("media_id", "in", ids)
      .where((eb) => this.#scope.runs(eb))
      .execute();
    return new Map(
      rows.map((row) => [
        row.media_id,
        {
          mediaId: row.media_id,
          /** Whose run it is a file of. */
          agentId: row.agent_id,
          sha256: row.sha256,
          filename: row.filename,
          mimeType: row.mime_type,
          bytes: row.bytes,
        },
      ]),
    );
  }
}
