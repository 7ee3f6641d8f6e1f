// Builds Tagferry's image: `npm run image -- --help`. With --prove it also makes the base, and runs the image as a cluster would.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, promisify, styleText } from "node:util";

import { temporaryDirectory } from "../test/support/temporary.ts";
import { formatRevision, revisionOf } from "./build/revision.ts";
import { type Buildah, prove } from "./image-proof.ts";
import { defaultBase, pinBase, writeStatements } from "./image-statements.ts";

const ROOT = join(import.meta.dirname, "..");
const HELP = `npm run image -- [options]            needs buildah
  --tag NAME      what the image is called (localhost/tagferry)
  --base IMAGE    a Debian with apt; else the Dockerfile's. It is pulled, and pinned by its digest
  --into DIR      where SBOM and provenance of the image go (release)
  --npmrc FILE    npm's settings for the build, for a registry of your own; never stored in the image
  --ca FILE       authorities (PEM) that npm trusts in the build; never stored in the image
  --prove         build on a fresh debootstrap, in a storage of its own that is removed, and run the image under a UID
                  without a passwd entry on a read-only root; needs root, debootstrap, docker-registry
  --suite SUITE   with --prove: the Debian that is made (bookworm)
  --mirror URL    with --prove: where it comes from (http://deb.debian.org/debian)`;

const { values } = parseArgs({
  options: {
    tag: { type: "string", default: "localhost/tagferry" },
    base: { type: "string" },
    into: { type: "string", default: join(ROOT, "release") },
    npmrc: { type: "string" },
    ca: { type: "string" },
    prove: { type: "boolean", default: false },
    suite: { type: "string", default: "bookworm" },
    mirror: { type: "string", default: "http://deb.debian.org/debian" },
    help: { type: "boolean", default: false },
  },
});

const execute = promisify(execFile);

function buildahWith(flags: readonly string[]): Buildah {
  return async (...args) =>
    (await execute("buildah", [...flags, ...args], { maxBuffer: 64 * 1024 * 1024 })).stdout.trim();
}

/** Runs a program that shows what it does. */
async function show(command: string, args: readonly string[]): Promise<void> {
  console.log(styleText("cyan", `$ ${command} ${args.join(" ")}`));
  const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
}

async function build(flags: readonly string[], from: string): Promise<void> {
  const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { version: string };
  const buildah = buildahWith(flags);
  const base = await pinBase(buildah, from);
  const revision = await revisionOf(ROOT);
  const { stdout: commitTime } = await execute("git", ["-C", ROOT, "log", "-1", "--format=%ct"]);
  await show("buildah", [
    ...flags,
    "build",
    // OCI images have no health check
    "--format=docker",
    // the same checkout gives the same layers, but for what V8 compiled
    `--timestamp=${commitTime.trim()}`,
    `--build-arg=BASE=${base.name}`,
    `--build-arg=BASE_DIGEST=${base.digest}`,
    `--build-arg=VERSION=${version}`,
    `--build-arg=REVISION=${formatRevision(revision)}`,
    ...(values.npmrc === undefined ? [] : [`--secret=id=npmrc,src=${values.npmrc}`]),
    ...(values.ca === undefined ? [] : [`--secret=id=ca,src=${values.ca}`]),
    `--tag=${values.tag}`,
    ROOT,
  ]);
  await writeStatements({
    root: ROOT,
    buildah,
    image: values.tag,
    base,
    version,
    revision,
    into: values.into,
  });
}

/** What Debian's own slim images leave out. */
const SLIM = ["usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/lib/apt/lists"];

async function makeBase(buildah: Buildah, directory: string): Promise<string> {
  const root = join(directory, "debian");
  await mkdir(root);
  await show("debootstrap", ["--variant=minbase", values.suite, root, values.mirror]);
  await execute("sh", [
    "-c",
    `cd "$1" && shift && rm -rf "$@" var/cache/apt/archives/*.deb`,
    "",
    root,
    ...SLIM,
  ]);
  const name = `localhost/debian:${values.suite}`;
  const container = await buildah("from", "scratch");
  await buildah("add", "--quiet", container, root, "/");
  await buildah("commit", "--quiet", "--rm", container, name);
  return name;
}

async function buildAndProve(): Promise<void> {
  await using directory = await temporaryDirectory();
  // no user namespace and no overlay: runs in containers, too
  const flags = [
    "--storage-driver=vfs",
    `--root=${directory.join("storage")}`,
    `--runroot=${directory.join("run")}`,
  ];
  process.env["BUILDAH_ISOLATION"] = "chroot";
  const buildah = buildahWith(flags);
  const base = await makeBase(buildah, directory.path);
  await build(flags, base);
  await prove({ buildah, image: values.tag, base, directory: directory.path });
}

if (values.help) console.log(HELP);
else if (values.prove) await buildAndProve();
else await build([], values.base ?? (await defaultBase(ROOT)));
