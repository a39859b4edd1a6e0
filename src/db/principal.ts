/**
 * On whose behalf the database is asked. Every handle to stored data is made for one, and gives it nothing else.
 */
export interface Principal {
  /** Whose data it is confined to. */
  readonly userId?: string;
  /** The session it is confined to, where its token names one. */
  readonly sessionId?: string;
  readonly scopes: readonly string[];
  /** Whether it sees every user's data: a server without authorization, or an administrator. */
  readonly unrestricted: boolean;
  /** False where system prompts are kept from it, whatever else it sees. Default: where it is unrestricted. */
  readonly seesPrompts?: boolean;
}

/** Who calls a server without authorization: it may name any user. */
export const openPrincipal: Principal = { scopes: [], unrestricted: true };
