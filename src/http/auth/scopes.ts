/** Scopes: what a token lets its caller do. `resource:action`, for one thing `resource:<id>:action`, for any `resource:*:action`. */

/** A scope, taken apart. */
export interface ParsedScope {
  readonly resource: string;
  /** The one thing that it is for; undefined for all of the resource. */
  readonly id: string | undefined;
  readonly action: string;
}

/** What older clients call a resource. */
const aliases: Readonly<Record<string, string>> = { system: "config" };

/** What a scope may be made of (RFC 6749, section 3.3), but for the colon: it can stand in a header as it is. */
const part = /^[\x21\x23-\x39\x3b-\x5b\x5d-\x7e]+$/;

/** Takes a scope apart; undefined where it is none. Whoever has such a one may nothing by it. */
export function parseScope(scope: string): ParsedScope | undefined {
  const parts = scope.split(":");
  if (!parts.every((one) => part.test(one))) return undefined;
  const [resource, second, third] = parts;
  if (resource === undefined || second === undefined || resource === "*" || parts.length > 3)
    return undefined;
  const action = third ?? second;
  if (action === "*") return undefined;
  const id = third === undefined || second === "*" ? undefined : second;
  return { resource: Object.hasOwn(aliases, resource) ? aliases[resource]! : resource, id, action };
}

/** All that the scopes of one caller let it do. No action implies another. */
export class Grants {
  /** Of whom nothing is asked. */
  static readonly all = new Grants(["*"], "*");
  static readonly none = new Grants([], "*");

  /** Whether it may do everything. */
  readonly isAdmin: boolean;
  readonly #scopes: readonly ParsedScope[];
  readonly #admin: ParsedScope | undefined;

  constructor(scopes: readonly string[], adminScope: string) {
    this.isAdmin = scopes.includes(adminScope);
    this.#admin = parseScope(adminScope);
    // The admin scope has the form of any other: as one, it would be a scope of a resource that does not exist.
    this.#scopes = scopes.filter((scope) => scope !== adminScope).flatMap((scope) => parseScope(scope) ?? []);
  }

  /** Whether it may do this to everything of the resource, or to the one thing that is named. */
  has(scope: string, id?: string): boolean {
    if (this.isAdmin) return true;
    const wanted = parseScope(scope);
    return (
      wanted !== undefined &&
      this.#scopes.some((own) => matches(own, wanted) && (own.id === undefined || own.id === id))
    );
  }

  /** Whether it may do this to anything of the resource, be it one thing alone. */
  hasSome(scope: string): boolean {
    if (this.isAdmin) return true;
    const wanted = parseScope(scope);
    return wanted !== undefined && this.#scopes.some((own) => matches(own, wanted));
  }

  /** Whether a scope lets nobody do more than these do. */
  covers(scope: string): boolean {
    if (this.isAdmin) return true;
    const wanted = parseScope(scope);
    if (!wanted || (this.#admin && matches(this.#admin, wanted))) return false;
    return this.has(scope, wanted.id);
  }
}

function matches(own: ParsedScope, wanted: ParsedScope): boolean {
  return own.resource === wanted.resource && own.action === wanted.action;
}
