/** Loads what connections to a model are made with: a tenth of a second that no start needs to wait for. */
export function loadConnections(): Promise<typeof import("undici")> {
  return import("undici");
}
