import { resolve } from "node:path";

import type { CredentialSettings, SecretSource } from "../config.ts";
import { isVariable } from "../file/environment.ts";
import type { RegistryShape } from "../file/schema.ts";
import type { Path } from "../file/yaml.ts";
import { readNamedFile, type RegistryReport } from "./report.ts";

/** How to log in to a registry. Secrets are only named here; they are read when they are used. */
export function readCredentials(
  shape: NonNullable<RegistryShape["credentials"]>,
  report: RegistryReport,
): CredentialSettings | undefined {
  const { anonymous, tokenFile, username, usernameFile, password, passwordFile } = shape;
  const given = Object.keys(shape);
  const at: Path = ["credentials"];
  const fail = (message: string, allowed: string, next = "Keep the keys of one of these forms."): undefined =>
    report.problem(at, "CONFIG_TYPE", message, { found: given.join(", "), allowed, next });
  const forms =
    "usernameFile (or username) and passwordFile (or password), or tokenFile alone, or anonymous: true alone";
  if (anonymous === true)
    return given.length === 1 ? { kind: "anonymous" } : fail("both anonymous and credentials", forms);
  if (tokenFile !== undefined)
    return given.length === 1
      ? { kind: "token", token: secretFile(tokenFile, "tokenFile", report) }
      : fail("both tokenFile and other credentials", forms);
  if (username !== undefined && usernameFile !== undefined)
    return fail("both username and usernameFile", forms);
  if (password !== undefined && passwordFile !== undefined)
    return fail("both password and passwordFile", forms);
  const user =
    usernameFile !== undefined
      ? secretFile(usernameFile, "usernameFile", report)
      : username !== undefined
        ? ({ kind: "text", text: username } as const)
        : undefined;
  const secret =
    passwordFile !== undefined
      ? secretFile(passwordFile, "passwordFile", report)
      : password !== undefined
        ? inlineSecret(report)
        : undefined;
  if (!user || !secret)
    return fail(
      `the credentials have no ${user ? "password" : "user"}`,
      forms,
      user ? "Add `passwordFile`, or `password: ${NAME}`." : "Add `username`, or `usernameFile`.",
    );
  return { kind: "basic", username: user, password: secret };
}

/** A secret in the file must be `${NAME}`. It is read from the environment when it is used. */
function inlineSecret(report: RegistryReport): SecretSource | undefined {
  const original = report.original(["credentials", "password"]);
  if (typeof original === "string" && isVariable(original))
    return { kind: "environment", variable: original.slice(2, -1) };
  report.problem(
    ["credentials", "password"],
    "CONFIG_INLINE_SECRET",
    "the configuration file contains a password",
    {
      key: true,
      allowed: "passwordFile, or password: ${NAME}",
    },
  );
  return { kind: "text", text: "" };
}

/** The file must exist and must not be empty. It is read again when it is used. */
function secretFile(path: string, key: string, report: RegistryReport): SecretSource {
  const file = readNamedFile(path, report.directory);
  const at: Path = ["credentials", key];
  if (file.kind === "failed")
    report.problem(at, "CONFIG_SECRET", `the file ${path} ${file.why}`, { found: path });
  else if (file.text.trim() === "")
    report.problem(at, "CONFIG_SECRET", `the file ${path} is empty`, { found: path });
  else if (/\r/.test(file.text))
    report.warning(at, "CONFIG_SECRET", `the file ${path} has Windows line ends; they are removed`, {
      found: path,
      next: "Write it with printf '%s', without a line end.",
    });
  return { kind: "file", path: resolve(report.directory, path) };
}
