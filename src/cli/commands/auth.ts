import { type Candidate, openCredentials } from "../../config/credentials/credentials.ts";
import { type Failure, failureOf } from "../../errors/error.ts";
import type { Credential } from "../../oci/credential.ts";
import { parseReference, parseRegistry, type Repository } from "../../oci/reference.ts";
import type { CommonFlags, Process } from "../cli.ts";
import { contextOf, readConfigIfAny } from "../run.ts";
import { print } from "../terminal/output.ts";
import { renderFailure } from "../terminal/render.ts";

type Row = {
  readonly registry: string;
  /** Where the credentials that win were found. */
  readonly from?: string;
  readonly username?: string;
  readonly works: boolean;
  readonly failure?: Failure;
  readonly candidates: readonly { readonly from: string; readonly found: boolean }[];
};

/** Shows, for each registry, every place that was looked at, which credentials win, and whether the registry takes them. */
export async function authCommand(
  registries: readonly string[],
  flags: CommonFlags,
  process: Process,
): Promise<number> {
  const config = await readConfigIfAny(flags, process);
  await using context = contextOf(config, flags, process);
  const credentials = openCredentials({ registries: config.registries, env: process.env });
  const rows = await Promise.all(
    registries.map(async (text): Promise<Row> => {
      const repository = repositoryOf(text);
      const candidates: Candidate[] = [];
      try {
        candidates.push(...(await credentials.candidates(repository, { signal: process.signal })));
        await context.ping(repository, { signal: process.signal });
        return { ...rowOf(repository, candidates), works: true };
      } catch (error) {
        process.signal.throwIfAborted();
        return { ...rowOf(repository, candidates), works: false, failure: failureOf(error) };
      }
    }),
  );
  await print(rows, () => rows.map(render).join("\n\n"), flags, process);
  if (rows.every(({ works }) => works)) return 0;
  return rows.some(({ failure }) => failure?.code.startsWith("AUTH_") === true || failure?.code === "DENIED")
    ? 4
    : 2;
}

/** A host alone, or a repository: credentials may belong to a path. */
function repositoryOf(text: string): Repository {
  if (!text.includes("/")) return { registry: parseRegistry(text), repository: "" };
  const { registry, repository } = parseReference(text);
  return { registry, repository };
}

function rowOf({ registry, repository }: Repository, candidates: readonly Candidate[]): Omit<Row, "works"> {
  const winner = candidates.find(({ found }) => found !== undefined)?.found;
  const username = winner && usernameOf(winner.credential);
  return {
    registry: repository === "" ? registry : `${registry}/${repository}`,
    ...(winner ? { from: winner.from } : {}),
    ...(username === undefined ? {} : { username }),
    candidates: candidates.map(({ from, found }) => ({ from, found: found !== undefined })),
  };
}

function usernameOf(credential: Credential): string | undefined {
  return credential.kind === "basic" ? credential.username : undefined;
}

function render({ registry, from, username, works, failure, candidates }: Row): string {
  const who =
    from === undefined
      ? "anonymous"
      : `${username === undefined ? "a token" : `user ${username}`}, from ${from}`;
  const looked = candidates.map(
    (candidate) => `  ${candidate.found ? "found " : "nothing"}  ${candidate.from}`,
  );
  const verdict = works
    ? "  works"
    : failure
      ? renderFailure(failure).replaceAll(/^/gm, "  ")
      : "  does not work";
  return [`${registry}  ${who}`, ...looked, verdict].join("\n");
}
