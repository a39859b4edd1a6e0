import type { Store } from "../db/store.ts";
import type { Erased } from "../db/stores/users.ts";
import { RunCancelledError } from "../errors.ts";
import type { DurableRunner } from "./runner.ts";

/**
 * Erases all that is a user's. Its runs that are under way here are ended first; one that is under way elsewhere finds its
 * row gone, and ends too.
 *
 * @returns how many rows went
 */
export async function eraseUser(runner: DurableRunner, store: Store, userId: string): Promise<Erased> {
  if (store.users.reaches(userId)) {
    const live = runner.underWay;
    // One that began without a user is this user's where its session is by now.
    const nobodys = live.filter((run) => run.identity.userId === undefined).map((run) => run.sessionId);
    const owned = await store.users.owned(userId, nobodys);
    const own = live.filter(({ identity, sessionId }) => identity.userId === userId || owned.has(sessionId));
    for (const run of own) run.abort(new RunCancelledError("The user and all its data are erased."));
    await Promise.allSettled(own.map((run) => run.ended()));
  }
  return store.users.erase(userId);
}
