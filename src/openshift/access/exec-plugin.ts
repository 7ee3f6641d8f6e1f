import { dirname, resolve } from "node:path";

import { z } from "zod";

import { TagferryError } from "../../errors/error.ts";
import { printable } from "../../lib/error.ts";
import { hideSecret, redact } from "../../lib/redact.ts";
import { type ProgramEnd, runProgram } from "../../lib/run-program.ts";

/** What a user of a kubeconfig says under `exec`. @see client.authentication.k8s.io/v1 */
const execSchema = z.object({
  apiVersion: z.string().min(1),
  command: z.string().min(1),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string().min(1), value: z.string().nullish() })).nullish(),
  installHint: z.string().nullish(),
  interactiveMode: z.enum(["Never", "IfAvailable", "Always"]).nullish(),
  provideClusterInfo: z.boolean().nullish(),
});

type ExecConfig = z.infer<typeof execSchema>;

const credentialSchema = z.object({
  kind: z.literal("ExecCredential"),
  status: z.object({
    token: z.string().optional(),
    clientCertificateData: z.string().optional(),
    clientKeyData: z.string().optional(),
    expirationTimestamp: z.string().optional(),
  }),
});

/** The credential of an exec plugin: a bearer token, a client certificate, or both. */
export type ExecCredential = Omit<z.infer<typeof credentialSchema>["status"], "expirationTimestamp">;

export type ExecPluginOptions = {
  /** The kubeconfig that names the plugin. A command with a slash is relative to its directory. */
  readonly file: string;
  /** Our own environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For `provideClusterInfo`: the cluster as the kubeconfig has it. */
  readonly cluster: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
  readonly now?: () => number;
};

const TIMEOUT_MS = 30_000;
const OUTPUT_MAX_BYTES = 1024 * 1024;
/** A credential is replaced a little earlier than it expires, because a request takes time too. */
const RENEW_BEFORE_MS = 5_000;
/** A text that a header can carry. */
const TOKEN = /^[\x21-\x7e]+$/;
/** The plugin gets these variables, and those that the kubeconfig names. Our secrets are not among them. */
const PASSED_ON = /^(?:PATH|HOME|LANG|LANGUAGE|LC_[A-Z]+|(?:HTTPS?|NO|ALL)_PROXY|(?:https?|no|all)_proxy)$/;

/**
 * Opens the exec plugin of a kubeconfig's user. The returned function gives its credential. The plugin runs at the first
 * call and after the credential has expired. Simultaneous calls share one run.
 *
 * @throws {TagferryError} CLUSTER_CONFIG
 */
export function openExecPlugin(exec: unknown, options: ExecPluginOptions): () => Promise<ExecCredential> {
  const { file, now = Date.now } = options;
  const parsed = execSchema.safeParse(exec);
  if (!parsed.success) throw failed(`the exec plugin in ${file} is not complete`, file);
  const config = parsed.data;
  if (config.interactiveMode === "Always")
    throw failed(`the exec plugin ${config.command} asks questions, which needs a terminal`, file);
  let kept: { readonly credential: ExecCredential; readonly untilMs: number } | undefined;
  let running: Promise<ExecCredential> | undefined;

  async function run(): Promise<ExecCredential> {
    const { expirationTimestamp, ...credential } = await askPlugin(config, options);
    const expiresMs = expirationTimestamp === undefined ? Infinity : Date.parse(expirationTimestamp);
    kept = { credential, untilMs: expiresMs - RENEW_BEFORE_MS };
    return credential;
  }

  return async () => {
    if (kept && now() < kept.untilMs) return kept.credential;
    running ??= run().finally(() => (running = undefined));
    return running;
  };
}

async function askPlugin(
  config: ExecConfig,
  { file, env, cluster, timeoutMs = TIMEOUT_MS }: ExecPluginOptions,
): Promise<z.infer<typeof credentialSchema>["status"]> {
  const { command, args } = config;
  const program = command.includes("/") ? resolve(dirname(file), command) : command;
  const end = await runProgram(program, args ?? [], {
    env: environmentOf(config, env, cluster),
    timeoutMs,
    outputMaxBytes: OUTPUT_MAX_BYTES,
  });
  if (end.kind !== "exited" || end.code !== 0)
    throw failed(`the exec plugin ${command} ${whyOf(end, config, timeoutMs)}`, file);
  return credentialIn(end.stdout, command, file);
}

function environmentOf(
  { apiVersion, env: named, provideClusterInfo }: ExecConfig,
  own: ExecPluginOptions["env"],
  cluster: ExecPluginOptions["cluster"],
): Record<string, string | undefined> {
  const info = {
    apiVersion,
    kind: "ExecCredential",
    spec: { interactive: false, ...(provideClusterInfo === true ? { cluster } : {}) },
  };
  return {
    ...Object.fromEntries(Object.entries(own).filter(([name]) => PASSED_ON.test(name))),
    // a name without a value passes our own variable on
    ...Object.fromEntries((named ?? []).map(({ name, value }) => [name, value ?? own[name]])),
    KUBERNETES_EXEC_INFO: JSON.stringify(info),
  };
}

function whyOf(end: ProgramEnd, config: ExecConfig, timeoutMs: number): string {
  const said = (stderr: string): string => textOf(stderr, secretsOf(config));
  switch (end.kind) {
    case "notStarted": {
      const { code } = end.error as NodeJS.ErrnoException;
      const hint = config.installHint ? `: ${config.installHint}` : "";
      return code === "ENOENT" ? `is not installed${hint}` : `could not be started (${code})`;
    }
    case "tooLate":
      return `did not end within ${timeoutMs / 1000} seconds${said(end.stderr)}`;
    case "tooMuch":
      return `printed more than ${OUTPUT_MAX_BYTES} bytes`;
    case "exited":
      return `failed${end.code === undefined ? "" : ` with exit code ${end.code}`}${said(end.stderr)}`;
  }
}

/** A web token: JSON in base64. */
const WEB_TOKEN = /\beyJ[\w.-]{16,}/g;

function textOf(stderr: string, secrets: readonly string[]): string {
  const text = String(redact(stderr.trim(), secrets)).replaceAll(WEB_TOKEN, "***");
  return text === "" ? "" : `: ${printable(text, { maxLength: 300 })}`;
}

const SECRET_NAME = /secret|token|passw|key/i;

/** What the kubeconfig itself gives to the plugin as a secret: in a variable, or after `--client-secret=`. */
function secretsOf({ args, env }: ExecConfig): readonly string[] {
  const values = (args ?? []).flatMap((arg, at, all) => {
    const [name = "", ...value] = arg.split("=");
    if (!name.startsWith("-") || !SECRET_NAME.test(name)) return [];
    return value.length > 0 ? [value.join("=")] : [all[at + 1] ?? ""];
  });
  const variables = (env ?? []).flatMap(({ name, value }) =>
    value && SECRET_NAME.test(name) ? [value] : [],
  );
  return [...values, ...variables];
}

/** The output is a secret, so no message shows it. */
function credentialIn(
  stdout: string,
  command: string,
  file: string,
): z.infer<typeof credentialSchema>["status"] {
  const parsed = credentialSchema.safeParse(jsonOf(stdout));
  if (!parsed.success)
    throw failed(`the exec plugin ${command} did not print an ExecCredential as JSON`, file);
  const { status } = parsed.data;
  const { token, clientCertificateData, clientKeyData, expirationTimestamp } = status;
  for (const secret of [token, clientKeyData]) if (secret !== undefined) hideSecret(secret);
  if (token === undefined && (clientCertificateData === undefined || clientKeyData === undefined))
    throw failed(`the exec plugin ${command} printed neither a token nor a certificate with its key`, file);
  if (token !== undefined && !TOKEN.test(token))
    throw failed(`the exec plugin ${command} printed a token that no request can carry`, file);
  if (expirationTimestamp !== undefined && Number.isNaN(Date.parse(expirationTimestamp)))
    throw failed(`the exec plugin ${command} printed an expirationTimestamp that is not a time`, file);
  return status;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failed(what: string, file: string): TagferryError {
  return new TagferryError("CLUSTER_CONFIG", `no way to the cluster: ${what}`, {
    where: file,
    next: "Run the exec plugin of the kubeconfig yourself, and fix what it reports.",
  });
}
