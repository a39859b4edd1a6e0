import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { ConfigurationError } from "../../errors.ts";
import { isJsonObject } from "../../events/json.ts";
import type { Algorithm } from "./options.ts";

/** A key that tokens are verified with. */
export interface VerificationKey {
  readonly key: KeyObject;
  /** What the issuer calls it. */
  readonly kid: string | undefined;
  /** The algorithms that it is for. No key is used for any other: a public key is never taken for a secret. */
  readonly algorithms: readonly Algorithm[];
}

const symmetric: readonly Algorithm[] = ["HS256", "HS384", "HS512"];
const rsa: readonly Algorithm[] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const ofCurve: Readonly<Record<string, Algorithm>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};

/** Bits below which RFC 7518 allows no RSA key. */
const leastRsaBits = 2048;

/** The algorithms that a public key is for; none where tokens are not signed with such a one. */
function algorithmsOf(key: KeyObject): readonly Algorithm[] {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case "rsa":
      return (details?.modulusLength ?? 0) >= leastRsaBits ? rsa : [];
    case "rsa-pss":
      return (details?.modulusLength ?? 0) >= leastRsaBits ? rsa.filter((one) => one.startsWith("PS")) : [];
    case "ec":
      return ofCurve[details?.namedCurve ?? ""] === undefined ? [] : [ofCurve[details!.namedCurve!]!];
    case "ed25519":
      return ["EdDSA"];
    default:
      return [];
  }
}

/**
 * Reads a key as it is configured: PEM, or else a secret. The environment often has `\n` where a PEM has line breaks.
 *
 * @throws {ConfigurationError} that never shows the key
 */
export function readKey(text: string): VerificationKey {
  if (text.trim() === "") throw new ConfigurationError("AgentOS: a verification key is empty.");
  if (!text.includes("-----BEGIN")) {
    return { key: createSecretKey(Buffer.from(text, "utf8")), kid: undefined, algorithms: symmetric };
  }
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw new ConfigurationError(
      "AgentOS: a verification key is a private key. Give the public one: the private key stays with whoever issues tokens.",
    );
  }
  let key: KeyObject;
  try {
    key = createPublicKey(text.replaceAll("\\n", "\n"));
  } catch (error) {
    throw new ConfigurationError("AgentOS: a verification key looks like PEM and cannot be read as such.", {
      cause: error,
    });
  }
  const algorithms = algorithmsOf(key);
  if (algorithms.length === 0) {
    throw new ConfigurationError(
      `AgentOS: a verification key of type ${key.asymmetricKeyType} is of no use here. RSA (2048 bits or more), EC (P-256, P-384, P-521) and Ed25519 are.`,
    );
  }
  return { key, kid: undefined, algorithms };
}

/**
 * Reads a JSON Web Key Set. Keys that are for something else are passed over: an issuer may have them beside.
 *
 * @returns the keys; none where it is no key set at all
 * @see https://www.rfc-editor.org/rfc/rfc7517
 */
export function readKeySet(set: unknown): VerificationKey[] {
  if (!isJsonObject(set) || !Array.isArray(set["keys"])) return [];
  return set["keys"].flatMap((jwk) => readJwk(jwk) ?? []);
}

function readJwk(jwk: unknown): VerificationKey | undefined {
  if (!isJsonObject(jwk) || (jwk["use"] !== undefined && jwk["use"] !== "sig")) return undefined;
  // A set is public: a secret in it would be nobody's secret.
  if (jwk["kty"] === "oct") return undefined;
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
    const { alg, kid } = jwk;
    const algorithms = algorithmsOf(key).filter((one) => alg === undefined || alg === one);
    return { key, kid: typeof kid === "string" ? kid : undefined, algorithms };
  } catch {
    return undefined;
  }
}
