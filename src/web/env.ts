import type { HttpBindings } from "@hono/node-server";

/**
 * Who makes a request: someone with a token or a session of the page, or (if no token is set) someone on this machine.
 */
export type Caller = {
  readonly kind: "token" | "session" | "local";
  /** The name in the audit log. */
  readonly by: string;
  /** `read`: GET and HEAD only. */
  readonly access: "act" | "read";
};

/** The types that Hono carries with each request. This file imports no other file of this folder. */
export type WebEnv = { Bindings: HttpBindings; Variables: { caller: Caller } };
