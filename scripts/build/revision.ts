import { execFile } from "node:child_process";
import { promisify } from "node:util";

import type { Revision } from "./provenance.ts";

const execute = promisify(execFile);

/** Of a checkout; `unknown` where there is no git. */
export async function revisionOf(root: string): Promise<Revision> {
  const git = async (...args: string[]): Promise<string> =>
    (await execute("git", ["-C", root, ...args])).stdout.trim();
  try {
    return { commit: await git("rev-parse", "HEAD"), changed: (await git("status", "--porcelain")) !== "" };
  } catch {
    return { commit: "unknown", changed: false };
  }
}

/** As `npm run image` writes it into a build that has no git: COMMIT, or COMMIT-changed. */
export function parseRevision(text: string): Revision {
  return { commit: text.replace(/-changed$/, ""), changed: text.endsWith("-changed") };
}

export function formatRevision({ commit, changed }: Revision): string {
  return changed ? `${commit}-changed` : commit;
}
