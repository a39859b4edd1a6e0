import type { Context } from "hono";

/** What `@hono/node-server` hands in with a request. */
interface NodeBindings {
  incoming?: { socket?: { remoteAddress?: string } };
}

/**
 * Where a request comes from.
 *
 * @param proxies - how many proxies of yours stand before the server: each adds the address that it saw to
 *   `X-Forwarded-For`. What stands before those was written by the client, and may be anything.
 * @returns the address; empty where it cannot be known, as in an app that is called without a connection
 */
export function clientAddress(c: Context, proxies: number): string {
  const { incoming } = (c.env ?? {}) as NodeBindings;
  const peer = normalized(incoming?.socket?.remoteAddress ?? "");
  if (proxies === 0) return peer;
  const forwarded = (c.req.header("x-forwarded-for") ?? "").split(",").map((one) => one.trim());
  return normalized(forwarded.at(-proxies) ?? "") || peer;
}

/** An IPv4 address that came by IPv6 is the IPv4 address. */
function normalized(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "").slice(0, 64);
}

/** What counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one household has to itself. */
export function clientNetwork(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("%")[0]!.split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - first.length - last.length)).fill("0");
  return `${[...first, ...zeros, ...last].slice(0, 4).join(":")}::/64`;
}
