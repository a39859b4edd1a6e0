import { NotFoundError } from "../errors.ts";
import { optionalIdentifier } from "./identifiers.ts";
import type { Served } from "./served.ts";

/** The query parameter by which clients of the original choose among databases. There is one here. */
export const dbIdQuery = {
  db_id: optionalIdentifier.openapi({ description: "This server's database; any other is 404." }),
};

/** @throws {NotFoundError} when another database is meant than the one that is served */
export function refuseOtherDatabase({ db }: Served, dbId: string | undefined): void {
  if (dbId !== undefined && dbId !== db.id) throw new NotFoundError(`No database with id '${dbId}' found`);
}
