import { createHash } from "node:crypto";
import type { JWTPayload, ProtectedHeaderParameters } from "jose";
import type { Logger } from "pino";
import type { Principal } from "../../db/principal.ts";
import { UnauthorizedError } from "../../errors.ts";
import type { JsonObject } from "../../events/json.ts";
import { isName } from "../../options.ts";
import type { Caller } from "./caller.ts";
import { KeyRing } from "./key-ring.ts";
import { type Algorithm, type Authorization, pickClaims } from "./options.ts";
import { Grants } from "./scopes.ts";

type Jose = typeof import("jose");

/** Seconds that the clocks of issuer and server may differ. */
export const leeway = 10;

/** Verified tokens that are kept. */
const mostKept = 10_000;

/** Characters of a token that is looked at; a longer one is none of ours. */
const longest = 16_384;

/** Users that no token may claim to be: they are ours to give. */
const reservedSubject = /^(?:sa:|__scheduler__$|__oauth__:)/;

/**
 * Turns JSON Web Tokens into callers. A verified one is kept until it expires or the keys change, so that it costs its
 * verification once.
 */
export class TokenVerifier {
  readonly #options: Authorization;
  readonly #keys: KeyRing;
  /** Loaded with the first verifier, for most servers have none. */
  readonly #jose = import("jose");
  readonly #verified = new Map<string, Caller>();

  /** @throws {ConfigurationError} when keys and algorithms do not fit */
  constructor(options: Authorization, logger: Logger) {
    this.#options = options;
    this.#keys = new KeyRing(options, logger);
    this.#keys.onChange(() => this.#verified.clear());
  }

  /** Is told when what was verified may not be valid any more. */
  onKeysChanged(listener: () => void): void {
    this.#keys.onChange(listener);
  }

  /**
   * Whose token it is.
   *
   * @throws {UnauthorizedError} that says what is wrong with it, and not what the server would take
   */
  async verify(token: string): Promise<Caller> {
    const known = this.#verified.get(token);
    if (known && (known.expiresAt === undefined || Date.now() < known.expiresAt + leeway * 1000))
      return known;
    this.#verified.delete(token);
    const caller = this.#callerOf(token, await this.#payloadOf(token));
    if (this.#verified.size >= mostKept) this.#verified.delete(this.#verified.keys().next().value!);
    this.#verified.set(token, caller);
    return caller;
  }

  async #payloadOf(token: string): Promise<JWTPayload> {
    const jose = await this.#jose;
    const { algorithm, kid } = this.#headerOf(token, jose);
    const candidates = await this.#keys.candidates(algorithm, kid);
    const { issuer, audience, requireExpiry } = this.#options;
    for (const { key } of candidates) {
      try {
        const { payload } = await jose.jwtVerify(token, key, {
          algorithms: [algorithm],
          clockTolerance: leeway,
          ...(issuer !== undefined && { issuer }),
          ...(audience !== undefined && { audience: [...audience] }),
          ...(requireExpiry && { requiredClaims: ["exp"] }),
        });
        return payload;
      } catch (error) {
        if (error instanceof jose.errors.JWSSignatureVerificationFailed) continue;
        throw refusal(error, jose);
      }
    }
    throw new UnauthorizedError("Invalid token: Signature verification failed");
  }

  #headerOf(token: string, jose: Jose): { algorithm: Algorithm; kid: string | undefined } {
    if (token.length > longest) throw new UnauthorizedError("Invalid token: It is too long");
    let header: ProtectedHeaderParameters;
    try {
      header = jose.decodeProtectedHeader(token);
    } catch {
      throw new UnauthorizedError("Invalid token: It is not a JSON Web Token");
    }
    const algorithm = this.#options.algorithms.find((one) => one === header.alg);
    if (!algorithm) throw new UnauthorizedError("Invalid token: The specified alg value is not allowed");
    return { algorithm, kid: typeof header.kid === "string" ? header.kid : undefined };
  }

  #callerOf(token: string, payload: JWTPayload): Caller {
    const { claims, adminScope, userIsolation } = this.#options;
    // Claims are whatever the issuer's JSON held.
    const all = payload as JsonObject;
    const userId = identifierOf(all[claims.userId], "subject");
    if (userId !== undefined && reservedSubject.test(userId)) {
      throw new UnauthorizedError("Invalid token subject");
    }
    const sessionId = identifierOf(all[claims.sessionId], "session");
    const scopes = [...new Set(claims.scopes.flatMap((name) => scopesOf(all[name])))];
    const grants = new Grants(scopes, adminScope);
    const dependencies = pickClaims(all, claims.dependencies);
    const sessionState = pickClaims(all, claims.sessionState);
    return {
      kind: "token",
      principal: principalFor({ userId, sessionId, scopes, grants, userIsolation }),
      grants,
      mayImpersonate: grants.has("users:impersonate"),
      tokenId: tokenIdOf(token, payload.jti),
      ...(payload.exp !== undefined && { expiresAt: payload.exp * 1000 }),
      ...(dependencies && { dependencies }),
      ...(sessionState && { sessionState }),
    };
  }
}

/** What a caller may see. */
export function principalFor(of: {
  userId: string | undefined;
  sessionId?: string | undefined;
  scopes: readonly string[];
  grants: Grants;
  userIsolation: boolean;
}): Principal {
  const { userId, sessionId, scopes, grants, userIsolation } = of;
  return {
    scopes,
    ...(userId !== undefined && { userId }),
    ...(sessionId !== undefined && { sessionId }),
    unrestricted: grants.isAdmin || !userIsolation,
    ...(!grants.isAdmin && { seesPrompts: false }),
  };
}

/** What a token is called in the audit log: its id, or the beginning of its hash. Never the token. */
export function tokenIdOf(token: string, jti?: unknown): string {
  if (isName(jti)) return jti;
  return `sha256:${createHash("sha256").update(token).digest("hex").slice(0, 12)}`;
}

/** A claim that names a user or a session; one that cannot be a name is no token that we could act on. */
function identifierOf(claim: unknown, what: string): string | undefined {
  if (claim === undefined || claim === null || claim === "") return undefined;
  if (isName(claim)) return claim;
  throw new UnauthorizedError(`Invalid token ${what}`);
}

/** Scopes as a list, or as words of a text (RFC 8693, section 4.2). */
function scopesOf(claim: unknown): string[] {
  const given = typeof claim === "string" ? claim.split(/\s+/) : Array.isArray(claim) ? claim : [];
  return given.filter((one): one is string => typeof one === "string" && one !== "");
}

/** What is told of a token that jose refuses. */
function refusal(error: unknown, { errors }: Jose): unknown {
  if (error instanceof errors.JWTExpired) return new UnauthorizedError("Token has expired", { cause: error });
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "aud") {
      return new UnauthorizedError("Invalid token audience - token not valid for this AgentOS instance", {
        cause: error,
      });
    }
    const what = error.reason === "missing" ? "is missing" : "is not valid";
    return new UnauthorizedError(`Invalid token: The claim "${error.claim}" ${what}`, { cause: error });
  }
  if (error instanceof errors.JOSEError || error instanceof TypeError) {
    return new UnauthorizedError("Invalid token: It is not a JSON Web Token", { cause: error });
  }
  return error;
}
