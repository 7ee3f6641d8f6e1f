import { type Candidate, openCredentials } from "../../config/credentials/credentials.ts";
import { ERROR_CODES } from "../../errors/codes.ts";
import { type Failure, failureOf } from "../../errors/error.ts";
import type { Credential } from "../../oci/credential.ts";
import { parseReference, parseRegistry, type Repository } from "../../oci/reference.ts";
import { contextOf } from "../clients.ts";
import { EXIT } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { readConfigIfAny } from "../read-config.ts";
import { type RegistryLogin, renderLogin } from "../terminal/credentials-text.ts";
import { print } from "../terminal/output.ts";

/** Shows for each registry every place that was searched, which credentials are used, and whether the registry accepts them. */
export async function authCommand(
  registries: readonly string[],
  flags: CommonFlags,
  process: Process,
): Promise<number> {
  const config = await readConfigIfAny(flags, process);
  await using context = contextOf(config, flags, process);
  const credentials = openCredentials({ registries: config.registries, env: process.env });
  const rows = await Promise.all(
    registries.map(async (text): Promise<RegistryLogin> => {
      const repository = repositoryOf(text);
      const candidates: Candidate[] = [];
      try {
        candidates.push(...(await credentials.candidates(repository, { signal: process.signal })));
        await context.ping(repository, { signal: process.signal });
        return { ...rowOf(repository, candidates), works: true };
      } catch (error) {
        process.signal.throwIfAborted();
        return { ...rowOf(repository, candidates), works: false, failure: failureWith(error, candidates) };
      }
    }),
  );
  await print(rows, () => rows.map(renderLogin).join("\n\n"), flags, process);
  if (rows.every(({ works }) => works)) return EXIT.done;
  const refused = rows.some(
    ({ failure }) => failure !== undefined && ERROR_CODES[failure.code].class === "credentials",
  );
  return refused ? EXIT.credentials : EXIT.all;
}

/** The advice of AUTH_DENIED is to run this command. Here it names the place of the credentials. */
function failureWith(error: unknown, candidates: readonly Candidate[]): Failure {
  const failure = failureOf(error);
  if (failure.code !== "AUTH_DENIED") return failure;
  const from = candidates.find(({ found }) => found !== undefined)?.from;
  const next =
    from === undefined
      ? "Write `credentials` for this registry under `registries`, or log in with `podman login` or `docker login`."
      : `Correct the user and the password in ${from}.`;
  return { ...failure, next };
}

/** The argument is a host or a repository: credentials can belong to a path. */
function repositoryOf(text: string): Repository {
  if (!text.includes("/")) return { registry: parseRegistry(text), repository: "" };
  const { registry, repository } = parseReference(text);
  return { registry, repository };
}

function rowOf(
  { registry, repository }: Repository,
  candidates: readonly Candidate[],
): Omit<RegistryLogin, "works"> {
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
