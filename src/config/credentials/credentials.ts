import { homedir } from "node:os";

import { TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { Credential, CredentialStore, FoundCredential } from "../../oci/credential.ts";
import type { Repository } from "../../oci/reference.ts";
import type { RegistrySettings, SecretSource } from "../config.ts";
import type { Environment } from "../file/environment.ts";
import { type AuthFile, openAuthFile, parseAuthFile } from "./auth-file.ts";
import { askHelper } from "./credential-helper.ts";
import { openSecretFile } from "./secret-file.ts";

export type CredentialsOptions = {
  readonly registries: readonly RegistrySettings[];
  readonly env: Environment;
};

/** One place that was searched, for `tagferry auth`. */
export type Candidate = { readonly from: string; readonly found: FoundCredential | undefined };

export type Credentials = {
  readonly store: CredentialStore;
  /** Every place that was searched, in order. The first with a credential is used. */
  candidates(repository: Repository, options?: Cancellable): Promise<readonly Candidate[]>;
};

/** The store alone. */
export function credentialStore(options: CredentialsOptions): CredentialStore {
  return openCredentials(options).store;
}

/**
 * Finds the credential for a registry: first in the configuration (longest path first), then in the auth files of
 * docker and podman and in the helpers that these files name. Files are read again when they change.
 *
 * @see https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
 */
export function openCredentials({ registries, env }: CredentialsOptions): Credentials {
  const readSecret = secretReader(env);
  const files = authFiles(env);

  async function* look(repository: Repository, options: Cancellable): AsyncGenerator<Candidate, void, void> {
    const settings = settingsFor(registries, repository);
    if (settings?.credentials) {
      const from = `registries.${settings.registry}${settings.pathPrefix === undefined ? "" : `/${settings.pathPrefix}`} in the configuration`;
      const credential = await configured(settings.credentials, readSecret);
      yield { from, found: credential && { credential, from } };
      if (!credential) return; // the configuration asks for anonymous access
    }
    for (const file of files) {
      const read = await file.read();
      if (!read) continue;
      yield { from: file.from, found: await inFile(read, repository, file.from, env, options) };
    }
  }

  return {
    async store(repository, options = {}) {
      for await (const { from, found } of look(repository, options)) {
        if (found) return found;
        if (from.startsWith("registries.")) return undefined;
      }
      return undefined;
    },
    candidates: (repository, options = {}) => Array.fromAsync(look(repository, options)),
  };
}

function settingsFor(
  registries: readonly RegistrySettings[],
  { registry, repository }: Repository,
): RegistrySettings | undefined {
  return registries.find(
    (settings) =>
      settings.registry === registry &&
      (settings.pathPrefix === undefined || `${repository}/`.startsWith(`${settings.pathPrefix}/`)),
  );
}

async function configured(
  settings: NonNullable<RegistrySettings["credentials"]>,
  read: (source: SecretSource) => Promise<string>,
): Promise<Credential | undefined> {
  switch (settings.kind) {
    case "anonymous":
      return undefined;
    case "token":
      return { kind: "bearer", token: await read(settings.token) };
    case "basic":
      return {
        kind: "basic",
        username: await read(settings.username),
        password: await read(settings.password),
      };
  }
}

/** Reads a secret without the line end that editors add. Errors may contain the path, never the content. */
function secretReader(env: Environment): (source: SecretSource) => Promise<string> {
  const files = new Map<string, () => Promise<string>>();
  return async (source) => {
    switch (source.kind) {
      case "text":
        return source.text;
      case "environment": {
        const value = env[source.variable];
        if (value !== undefined && value !== "") return value;
        throw new TagferryError("CONFIG_SECRET", `the variable ${source.variable} is not set`, {
          where: source.variable,
        });
      }
      case "file": {
        const read = files.get(source.path) ?? openSecretFile(source.path);
        files.set(source.path, read);
        return read();
      }
    }
  };
}

type NamedFile = { readonly from: string; readonly read: () => Promise<AuthFile | undefined> };

/**
 * The auth files in the order of podman and docker. A variable that names a file has priority over the default paths.
 */
function authFiles(env: Environment): readonly NamedFile[] {
  const home = env["HOME"] ?? safeHome();
  const inline = env["DOCKER_AUTH_CONFIG"];
  const paths: (string | undefined)[] = [
    env["REGISTRY_AUTH_FILE"],
    env["XDG_RUNTIME_DIR"] && `${env["XDG_RUNTIME_DIR"]}/containers/auth.json`,
    env["XDG_CONFIG_HOME"]
      ? `${env["XDG_CONFIG_HOME"]}/containers/auth.json`
      : home && `${home}/.config/containers/auth.json`,
    env["DOCKER_CONFIG"] ? `${env["DOCKER_CONFIG"]}/config.json` : home && `${home}/.docker/config.json`,
    home && `${home}/.dockercfg`,
  ];
  const files = paths
    .filter((path): path is string => path !== undefined && path !== "")
    .map((path) => ({ from: path, read: openAuthFile(path) }));
  if (inline === undefined || inline === "") return files;
  return [
    { from: "$DOCKER_AUTH_CONFIG", read: async () => parseAuthFile(inline, "$DOCKER_AUTH_CONFIG") },
    ...files,
  ];
}

/** undefined for an arbitrary UID without an entry in passwd: it has no home directory. */
function safeHome(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}

/** The order of docker: a helper for this registry, an entry, the helper for all registries. */
async function inFile(
  file: AuthFile,
  repository: Repository,
  from: string,
  env: Environment,
  options: Cancellable,
): Promise<FoundCredential | undefined> {
  const helper = file.helperFor(repository.registry);
  if (helper) {
    const credential = await askHelper(helper.name, helper.server, { env, ...options });
    if (credential) return { credential, from: `credHelpers (${helper.name}) in ${from}` };
  }
  const entry = file.entryFor(repository);
  if (entry) return { credential: entry.credential, from: `auths (${entry.key}) in ${from}` };
  const store = file.storeFor(repository.registry);
  if (store) {
    const credential = await askHelper(store.name, store.server, { env, ...options });
    if (credential) return { credential, from: `credsStore (${store.name}) in ${from}` };
  }
  return undefined;
}
