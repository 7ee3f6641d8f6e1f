import type { Failure } from "../../errors/error.ts";
import { indent, renderFailure } from "./failure-text.ts";

/** What `tagferry auth` found for one registry. Never a secret. */
export type RegistryLogin = {
  readonly registry: string;
  /** The place of the credentials that are used. */
  readonly from?: string;
  readonly username?: string;
  readonly works: boolean;
  readonly failure?: Failure;
  readonly candidates: readonly { readonly from: string; readonly found: boolean }[];
};

export function renderLogin({ registry, from, username, works, failure, candidates }: RegistryLogin): string {
  const who =
    from === undefined
      ? "anonymous"
      : `${username === undefined ? "a token" : `user ${username}`}, from ${from}`;
  const looked = candidates.map(
    (candidate) => `  ${candidate.found ? "found " : "nothing"}  ${candidate.from}`,
  );
  const verdict = works ? "  works" : failure ? indent(renderFailure(failure)) : "  does not work";
  return [`${registry}  ${who}`, ...looked, verdict].join("\n");
}
