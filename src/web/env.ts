import type { HttpBindings } from "@hono/node-server";

/** Who makes a request: by a token, by a session of the page, or (no token is set) from this machine. */
export type Caller = {
  readonly kind: "token" | "session" | "local";
  /** For the audit lines. */
  readonly by: string;
  /** `read`: GET and HEAD only. */
  readonly access: "act" | "read";
};

/** What Hono carries with each request. The ground of this folder: it imports none of its files. */
export type WebEnv = { Bindings: HttpBindings; Variables: { caller: Caller } };
