import { ConfigurationError } from "./errors.ts";
import {
  type Algorithm,
  type Authorization,
  type AuthorizationOptions,
  completeAuthorization,
  algorithms as knownAlgorithms,
} from "./http/auth/options.ts";
import { readSetting } from "./settings.ts";

/**
 * How callers are told apart, from the option and the settings: by tokens, by the one security key, or (undefined) not at
 * all. An option in code wins.
 *
 * @throws {ConfigurationError} that names what cannot work
 */
export function authorizationFrom(
  given: boolean | AuthorizationOptions | undefined,
  osId: string,
): { authorization: Authorization & { securityKey?: string } } | { unused: string } | undefined {
  const isOn = given === undefined ? readSetting("AGENTOS_AUTHORIZATION") : given !== false;
  if (isOn) {
    const options = typeof given === "object" ? given : {};
    return { authorization: completeAuthorization({ ...fromSettings(options), ...options }, osId) };
  }
  // The option in code says that nothing is asked of callers.
  if (given === false) return undefined;
  const securityKey = readSetting("OS_SECURITY_KEY");
  if (securityKey !== undefined) {
    return { authorization: { ...completeAuthorization({}, osId), securityKey } };
  }
  const unused = (["JWT_VERIFICATION_KEY", "JWT_JWKS_FILE", "JWT_JWKS_URL"] as const).find(
    (name) => readSetting(name) !== undefined,
  );
  return unused === undefined ? undefined : { unused };
}

/** The settings that are there. Where code names any key, those of the environment are none of it. */
function fromSettings(options: AuthorizationOptions): AuthorizationOptions {
  const { verificationKeys, jwksFile, jwksUrl } = options;
  const hasKeys = verificationKeys !== undefined || jwksFile !== undefined || jwksUrl !== undefined;
  const settings: AuthorizationOptions = {};
  if (!hasKeys) {
    const key = readSetting("JWT_VERIFICATION_KEY");
    if (key !== undefined) settings.verificationKeys = key;
    const file = readSetting("JWT_JWKS_FILE");
    if (file !== undefined) settings.jwksFile = file;
    const url = readSetting("JWT_JWKS_URL");
    if (url !== undefined) settings.jwksUrl = url;
  }
  const algorithms = readSetting("JWT_ALGORITHM");
  if (algorithms !== undefined) settings.algorithms = algorithms.map(algorithmOf);
  const issuer = readSetting("JWT_ISSUER");
  if (issuer !== undefined) settings.issuer = issuer;
  const audience = readSetting("JWT_AUDIENCE");
  if (audience !== undefined) settings.audience = audience;
  return settings;
}

function algorithmOf(name: string): Algorithm {
  const known = knownAlgorithms.find((one) => one === name);
  if (known) return known;
  throw new ConfigurationError(
    `Setting JWT_ALGORITHM is "${name}": must be one or more of ${knownAlgorithms.join(", ")}, with commas between.`,
  );
}

/** What keeps a server from being left open by mistake: it is told in the log. */
export function unusedKeyWarning(setting: string): string {
  return `${setting} is set, and authorization is off: every caller may do everything. Set AGENTOS_AUTHORIZATION=true.`;
}
