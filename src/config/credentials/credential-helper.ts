import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

import { TagferryError } from "../../errors/error.ts";
import { type Cancellable, within } from "../../lib/cancel.ts";
import { printable } from "../../lib/error.ts";
import type { Credential } from "../../oci/credential.ts";
import type { Environment } from "../file/environment.ts";

const HELPER_TIMEOUT_MS = 20_000;
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
    new TagferryError("AUTH_HELPER", `${program} ${what}`, { cause, where: server });
  if (!NAME.test(name))
    throw new TagferryError("AUTH_HELPER", `"${name}" is not the name of a credential helper`, {
      found: name,
      allowed: NAME.source,
    });
  const child = spawn(program, ["get"], {
    env: { ...env },
    stdio: ["pipe", "pipe", "pipe"],
    signal: within(HELPER_TIMEOUT_MS, { signal }),
  });
  child.stdin.on("error", () => {}); // the helper may exit without reading this
  child.stdin.end(server);
  try {
    // In parallel: when the helper cannot start, or a child keeps its pipes open, the error must not wait for the
    // output.
    const [[code], stdout, stderr] = await Promise.all([
      once(child, "close") as Promise<[number | null]>,
      text(child.stdout),
      text(child.stderr),
    ]);
    if (code === 0) return credentialIn(stdout, fail);
    if (/credentials not found|no credentials|not found in native keychain/i.test(`${stdout}${stderr}`))
      return undefined;
    throw fail(`failed: ${printable((stderr || stdout).trim(), { maxLength: 200 })}`);
  } catch (error) {
    if (error instanceof TagferryError) throw error;
    signal?.throwIfAborted();
    const { code, name: kind } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw fail("is not installed", error);
    throw fail(kind === "AbortError" ? "did not answer in 20 seconds" : "could not be started", error);
  }
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
