import { TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { printable } from "../../lib/error.ts";
import { runProgram } from "../../lib/run-program.ts";
import type { Credential } from "../../oci/credential.ts";
import type { Environment } from "../file/environment.ts";

const HELPER_TIMEOUT_MS = 20_000;
const OUTPUT_MAX_BYTES = 1024 * 1024;
const GOOD_FOR_MS = 60 * 60_000;
const NAME = /^[a-z0-9_.-]+$/;

type Kept = { readonly credential: Promise<Credential | undefined>; readonly askedAtMs: number };

/** Answers are cached for at most one hour, in memory only. */
const kept = new WeakMap<Environment, Map<string, Kept>>();

export type HelperOptions = Cancellable & { readonly env: Environment };

/**
 * Asks `docker-credential-NAME` for the credential of a server; undefined: the helper has none.
 *
 * @throws {TagferryError} AUTH_HELPER
 * @see https://github.com/docker/docker-credential-helpers
 */
export async function askHelper(
  name: string,
  server: string,
  { env, signal }: HelperOptions,
): Promise<Credential | undefined> {
  const answers = kept.get(env) ?? new Map<string, Kept>();
  kept.set(env, answers);
  const key = `${name} ${server}`;
  const before = answers.get(key);
  if (before && performance.now() - before.askedAtMs < GOOD_FOR_MS) return before.credential;
  const credential = run(name, server, { env, signal });
  answers.set(key, { credential, askedAtMs: performance.now() });
  try {
    return await credential;
  } catch (error) {
    answers.delete(key);
    throw error;
  }
}

async function run(
  name: string,
  server: string,
  { env, signal }: HelperOptions,
): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`;
  const fail = (what: string, cause?: unknown): TagferryError =>
    new TagferryError("AUTH_HELPER", `${program} ${what}`, { cause, where: server, helper: program });
  if (!NAME.test(name))
    throw new TagferryError("AUTH_HELPER", `"${name}" is not the name of a credential helper`, {
      found: name,
      allowed: NAME.source,
    });
  const end = await runProgram(program, ["get"], {
    env,
    input: server,
    timeoutMs: HELPER_TIMEOUT_MS,
    outputMaxBytes: OUTPUT_MAX_BYTES,
    signal,
  });
  switch (end.kind) {
    case "exited":
      return end.code === 0 ? credentialIn(end.stdout, fail) : noCredential(end, fail);
    case "notStarted": {
      const { code } = end.error as NodeJS.ErrnoException;
      throw fail(code === "ENOENT" ? "is not installed" : "could not be started", end.error);
    }
    case "tooLate":
      throw fail("did not answer in 20 seconds");
    case "tooMuch":
      throw fail(`printed more than ${OUTPUT_MAX_BYTES} bytes`);
  }
}

function noCredential(
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
  fail: (what: string) => TagferryError,
): undefined {
  if (/credentials not found|no credentials|not found in native keychain/i.test(`${stdout}${stderr}`))
    return undefined;
  throw fail(`failed: ${printable((stderr || stdout).trim(), { maxLength: 200 })}`);
}

function credentialIn(stdout: string, fail: (what: string) => TagferryError): Credential | undefined {
  let json: unknown;
  try {
    json = JSON.parse(stdout);
  } catch {
    throw fail("did not answer with JSON");
  }
  const { Username: username, Secret: secret } = (
    typeof json === "object" && json !== null ? json : {}
  ) as Record<string, unknown>;
  if (typeof secret !== "string" || typeof username !== "string")
    throw fail("answered without Username and Secret");
  if (secret === "") return undefined;
  return username === "<token>"
    ? { kind: "identityToken", token: secret }
    : { kind: "basic", username, password: secret };
}
