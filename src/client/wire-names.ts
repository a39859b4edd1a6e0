/** Fields of a request as options name them. Values go out as they are; those that are undefined do not. */
export type Fields = { readonly [name: string]: unknown };

/** The fields under the names that they have on the wire: `sessionId` is `session_id`. A signal is none of them. */
export function onWire(fields: object): Record<string, unknown> {
  const named: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined && name !== "signal") named[wireName(name)] = value;
  }
  return named;
}

/** Fields as the query of a URL, `?` included; a list is given name by name. */
export function queryOf(fields: object | undefined): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(onWire(fields ?? {}))) {
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

function wireName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
