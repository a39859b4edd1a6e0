import type { JsonObject } from "../../events/json.ts";
import { isJsonObject } from "../../events/json.ts";
import { mustFit, refuseUnfit, refuseUnknown, type Shape, shapes } from "../../options.ts";

/** Signature algorithms that a token may be signed with. */
export const algorithms = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;

/** A signature algorithm of JSON Web Tokens. */
export type Algorithm = (typeof algorithms)[number];

/** How callers are told apart, and what is open. Every field may be left out but the keys, which a setting may give. */
export interface AuthorizationOptions {
  /**
   * What tokens are verified with: public keys as PEM, or secrets for HS256, HS384 and HS512. Several for a rotation: any of
   * them will do. Default: the setting `JWT_VERIFICATION_KEY`.
   */
  verificationKeys?: string | readonly string[];
  /** Path of a file with a JSON Web Key Set. Default: the setting `JWT_JWKS_FILE`. */
  jwksFile?: string;
  /** Where the issuer has its JSON Web Key Set. Default: the setting `JWT_JWKS_URL`. */
  jwksUrl?: string;
  /** The algorithms that are taken, and no others. Default: the setting `JWT_ALGORITHM`, else `["RS256"]`. */
  algorithms?: readonly Algorithm[];
  /** What `iss` must be. Default: the setting `JWT_ISSUER`; not checked where neither is there. */
  issuer?: string;
  /**
   * What `aud` must hold one of; `true` for the id of the AgentOS. Default: the setting `JWT_AUDIENCE`; not checked where
   * neither is there.
   */
  audience?: string | readonly string[] | boolean;
  /** Whether a token without `exp` is refused. Default true. */
  requireExpiry?: boolean;
  /** What the claims are called. */
  claims?: ClaimNames;
  /** The scope that opens everything. Default `agent_os:admin`. */
  adminScope?: string;
  /** Whether users see their own data alone. Default true. */
  userIsolation?: boolean;
  /** Whether a token may come in a cookie too: `true` for the one called `access_token`, or its name. Default false. */
  cookie?: boolean | string;
  /**
   * Paths that need no token, beside `/health` and `/openapi.json`; one that ends in `*` is a beginning. Whoever calls one is
   * nobody there, also with a token.
   */
  publicPaths?: readonly string[];
  /** Days that the audit log is kept. Default 90. */
  auditDays?: number;
}

/** What the claims of a token are called. */
export interface ClaimNames {
  /** Whose token it is. Default `sub`. */
  userId?: string;
  /** The one session that it is for. Default `session_id`. */
  sessionId?: string;
  /** What it lets its caller do: a list, or words with spaces between. Default `scopes`, and `scope` as well. */
  scopes?: string;
  /** Claims that become dependencies of every run, under their name. Default none. */
  dependencies?: readonly string[];
  /** Claims that are laid over every run's session state, under their name. Default none. */
  sessionState?: readonly string[];
}

/** Options with every default filled in. */
export interface Authorization {
  readonly verificationKeys: readonly string[];
  readonly jwksFile: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly algorithms: readonly Algorithm[];
  readonly issuer: string | undefined;
  readonly audience: readonly string[] | undefined;
  readonly requireExpiry: boolean;
  readonly claims: Required<Omit<ClaimNames, "scopes">> & { scopes: readonly string[] };
  readonly adminScope: string;
  readonly userIsolation: boolean;
  readonly cookie: string | undefined;
  readonly publicPaths: readonly string[];
  readonly auditDays: number;
}

const textOrTexts: Shape = {
  fits: (value) => shapes.text.fits(value) || shapes.texts.fits(value),
  words: "a text or a list of texts",
};

const wanted = {
  verificationKeys: textOrTexts,
  jwksFile: shapes.text,
  jwksUrl: {
    fits: (value) => typeof value === "string" && /^https?:\/\/\S+$/.test(value) && URL.canParse(value),
    words: "a URL that begins with https:// or http://",
  },
  algorithms: {
    fits: (value) =>
      Array.isArray(value) && value.length > 0 && value.every((one) => algorithms.includes(one)),
    words: `a list of these: ${algorithms.join(", ")}`,
  },
  issuer: shapes.text,
  audience: {
    fits: (value) => shapes.flag.fits(value) || textOrTexts.fits(value),
    words: "a text, a list of texts, or true for the AgentOS's own id",
  },
  requireExpiry: shapes.flag,
  claims: shapes.object,
  adminScope: {
    fits: (value) => typeof value === "string" && /^\S+$/.test(value),
    words: "a scope, without spaces",
  },
  userIsolation: shapes.flag,
  cookie: {
    fits: (value) =>
      shapes.flag.fits(value) || (typeof value === "string" && /^[\w!#$%&'*.^`|~+-]+$/.test(value)),
    words: "true, false, or the name of a cookie",
  },
  publicPaths: {
    fits: (value) =>
      Array.isArray(value) && value.every((one) => typeof one === "string" && one.startsWith("/")),
    words: "a list of paths that begin with /",
  },
  auditDays: {
    fits: (value) => shapes.notNegative.fits(value) && Number(value) > 0,
    words: "a number of days above 0",
  },
} satisfies Record<keyof AuthorizationOptions, Shape>;

const wantedClaims = {
  userId: shapes.text,
  sessionId: shapes.text,
  scopes: shapes.text,
  dependencies: shapes.texts,
  sessionState: shapes.texts,
} satisfies Record<keyof ClaimNames, Shape>;

/** What stands at `authorization` of an AgentOS. */
export const authorizationShape: Shape = {
  fits: (value) => typeof value === "boolean" || isJsonObject(value),
  words: "true, false, or an object of options",
};

/**
 * Checks the options and fills in the defaults.
 *
 * @param osId - what `audience: true` means
 * @throws {ConfigurationError} that names the option that cannot work
 */
export function completeAuthorization(options: AuthorizationOptions, osId: string): Authorization {
  const what = "AgentOS: authorization";
  refuseUnknown(what, options, Object.keys(wanted));
  refuseUnfit(what, options, wanted);
  const claims = options.claims ?? {};
  mustFit(what, "claims", claims, shapes.object);
  refuseUnknown(`${what}.claims`, claims, Object.keys(wantedClaims));
  refuseUnfit(`${what}.claims`, claims, wantedClaims);
  const { audience, cookie } = options;
  return {
    verificationKeys: list(options.verificationKeys),
    jwksFile: options.jwksFile,
    jwksUrl: options.jwksUrl,
    algorithms: options.algorithms ?? ["RS256"],
    issuer: options.issuer,
    audience:
      audience === undefined || audience === false ? undefined : audience === true ? [osId] : list(audience),
    requireExpiry: options.requireExpiry ?? true,
    claims: {
      userId: claims.userId ?? "sub",
      sessionId: claims.sessionId ?? "session_id",
      scopes: claims.scopes === undefined ? ["scopes", "scope"] : [claims.scopes],
      dependencies: claims.dependencies ?? [],
      sessionState: claims.sessionState ?? [],
    },
    adminScope: options.adminScope ?? "agent_os:admin",
    userIsolation: options.userIsolation ?? true,
    cookie: cookie === true ? "access_token" : cookie === false ? undefined : cookie,
    publicPaths: ["/health", "/openapi.json", ...(options.publicPaths ?? [])],
    auditDays: options.auditDays ?? 90,
  };
}

function list(texts: string | readonly string[] | undefined): readonly string[] {
  return texts === undefined ? [] : typeof texts === "string" ? [texts] : texts;
}

/** Claims by their names; those that the token does not have are left out. */
export function pickClaims(claims: JsonObject, names: readonly string[]): JsonObject | undefined {
  const picked = names.filter((name) => Object.hasOwn(claims, name)).map((name) => [name, claims[name]!]);
  return picked.length === 0 ? undefined : (Object.fromEntries(picked) as JsonObject);
}
