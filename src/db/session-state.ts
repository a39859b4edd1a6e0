import type { JsonObject } from "../events/json.ts";
import type { StateChange } from "./records.ts";

/** The state after a run's change. Keys that the run did not touch stay as others left them. */
export function changedState(state: JsonObject, change: StateChange): JsonObject {
  const next = { ...state, ...change.set };
  for (const key of change.remove) delete next[key];
  return next;
}

/** What a run did to the state that it began with; undefined where that is nothing. */
export function stateChange(before: JsonObject, after: JsonObject): StateChange | undefined {
  const set: JsonObject = {};
  for (const [key, value] of Object.entries(after)) {
    if (JSON.stringify(value) !== JSON.stringify(before[key])) set[key] = value;
  }
  const remove = Object.keys(before).filter((key) => !(key in after));
  return Object.keys(set).length > 0 || remove.length > 0 ? { set, remove } : undefined;
}
