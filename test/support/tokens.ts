import { createSecretKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";

/** Makes tokens, right and wrong ones. */

/** A key pair as an issuer has it, with the public key as a server is given it. */
export interface Issuer {
  privateKey: KeyObject;
  publicKey: KeyObject;
  pem: string;
}

/** A new issuer with an RSA key. */
export function createIssuer(): Issuer {
  return issuerOf(generateKeyPairSync("rsa", { modulusLength: 2048 }));
}

/** An issuer with keys of any kind. */
export function issuerOf({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Issuer {
  return { privateKey, publicKey, pem: publicKey.export({ type: "spki", format: "pem" }).toString() };
}

/** Seconds from now as a token has them. */
export const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

/** A token of ten minutes. `undefined` takes a claim out. */
export async function sign(
  key: KeyObject | string,
  claims: Record<string, unknown>,
  header: { alg?: string; kid?: string } = {},
): Promise<string> {
  const all = { exp: inSeconds(600), ...claims };
  const secret = typeof key === "string" ? createSecretKey(Buffer.from(key)) : key;
  return new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    .setProtectedHeader({ alg: typeof key === "string" ? "HS256" : "RS256", ...header })
    .sign(secret);
}

/** A token of `alg: none`, which nobody signed. */
export function unsigned(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none", typ: "JWT" })}.${part({ exp: inSeconds(600), ...claims })}.`;
}

/** Headers that carry a token. */
export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
