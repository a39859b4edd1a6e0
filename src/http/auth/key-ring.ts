import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { ConfigurationError } from "../../errors.ts";
import { readKey, readKeySet, type VerificationKey } from "./key.ts";
import type { Algorithm, Authorization } from "./options.ts";
import { RemoteKeys } from "./remote-keys.ts";

/** Keys that are tried for one token at most: each costs a verification. */
const mostTried = 10;

/** All keys that tokens are verified with. */
export class KeyRing {
  readonly #static: readonly VerificationKey[];
  readonly #remote: RemoteKeys | undefined;
  readonly #listeners = new Set<() => void>();

  /** @throws {ConfigurationError} when there is no key, or one that no algorithm takes, or the other way round */
  constructor(options: Authorization, logger: Logger) {
    const configured = options.verificationKeys.map(readKey);
    const ofFile = options.jwksFile === undefined ? [] : readFile(options.jwksFile);
    this.#static = [...ofFile, ...configured];
    this.#remote =
      options.jwksUrl === undefined
        ? undefined
        : new RemoteKeys(options.jwksUrl, logger, () => {
            for (const listener of this.#listeners) listener();
          });
    refuseUnusable(options.algorithms, configured, this.#static, this.#remote !== undefined);
    for (const { key, algorithms } of configured) {
      if (algorithms.includes("HS256") && (key.symmetricKeySize ?? 0) < 32) {
        logger.warn("JWT_VERIFICATION_KEY is a secret of less than 32 bytes: it can be guessed");
      }
    }
  }

  /** Is told when the issuer's keys have changed: what was verified with one of them may not be valid any more. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * The keys that a token may have been signed with.
   *
   * @throws {UnavailableError} when the issuer's keys cannot be had
   */
  async candidates(algorithm: Algorithm, kid: string | undefined): Promise<readonly VerificationKey[]> {
    const isFor = (key: VerificationKey) =>
      key.algorithms.includes(algorithm) && (kid === undefined || key.kid === undefined || key.kid === kid);
    const known = this.#static.filter(isFor);
    // A key that the token names is the one; the issuer is not asked for what is known.
    if (!this.#remote || (kid !== undefined && known.some((key) => key.kid === kid))) {
      return known.slice(0, mostTried);
    }
    try {
      return [...(await this.#remote.keys(kid)).filter(isFor), ...known].slice(0, mostTried);
    } catch (error) {
      if (known.length === 0) throw error;
      return known.slice(0, mostTried);
    }
  }
}

function readFile(path: string): VerificationKey[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError(
      `AgentOS: the key set ${path} (setting JWT_JWKS_FILE) cannot be read: ${reason}.`,
      {
        cause: error,
      },
    );
  }
  let keys: VerificationKey[] = [];
  try {
    keys = readKeySet(JSON.parse(text));
  } catch {
    // Not JSON: as good as none.
  }
  if (keys.length > 0) return keys;
  throw new ConfigurationError(
    `AgentOS: the key set ${path} (setting JWT_JWKS_FILE) holds no public key. It must look like {"keys": [{"kty": "RSA", …}]}.`,
  );
}

function refuseUnusable(
  algorithms: readonly Algorithm[],
  configured: readonly VerificationKey[],
  known: readonly VerificationKey[],
  isRemote: boolean,
): void {
  if (known.length === 0 && !isRemote) {
    throw new ConfigurationError(
      "AgentOS: authorization needs a key to verify tokens with. Set JWT_VERIFICATION_KEY, JWT_JWKS_FILE or JWT_JWKS_URL.",
    );
  }
  const listed = algorithms.join(", ");
  const useless = configured.find((key) => !key.algorithms.some((one) => algorithms.includes(one)));
  if (useless) {
    throw new ConfigurationError(
      `AgentOS: a verification key is ${useless.key.type === "secret" ? "no PEM, so it is a shared one" : `for ${useless.algorithms.join(", ")}`}, and JWT_ALGORITHM is ${listed}. Set JWT_ALGORITHM to what tokens are signed with${useless.key.type === "secret" ? ", such as HS256" : ""}.`,
    );
  }
  const served = [
    ...known.flatMap((key) => key.algorithms),
    ...(isRemote ? algorithms.filter(isAsymmetric) : []),
  ];
  const keyless = algorithms.find((one) => !served.includes(one));
  if (keyless === undefined) return;
  throw new ConfigurationError(
    `AgentOS: JWT_ALGORITHM lists ${keyless}, and no key is for it. Take it out, or give a key.`,
  );
}

function isAsymmetric(algorithm: Algorithm): boolean {
  return !algorithm.startsWith("HS");
}
