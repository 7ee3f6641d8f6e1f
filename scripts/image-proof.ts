// Shows that an image holds what it should and nothing else, and runs it as a cluster would.

import { deepStrictEqual as same, ok } from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { freePort } from "../test/support/free-port.ts";
import { buildIndex, pushTo, signCosign } from "../test/support/images/images.ts";
import { startDockerRegistry } from "../test/support/servers.ts";
import { writeConfig } from "../test/support/tagferry.ts";
import { type Provenance, sha256Of } from "./build/provenance.ts";
import { type Container, type ImageConfig, start, UID } from "./image-container.ts";

/** Runs buildah, and gives what it printed on stdout. */
export type Buildah = (...args: readonly string[]) => Promise<string>;

type Proof = {
  readonly buildah: Buildah;
  readonly image: string;
  readonly base: string;
  /** For what the proof writes. */
  readonly directory: string;
};

export async function prove({ buildah, image, base, directory }: Proof): Promise<void> {
  const inspected = await buildah("inspect", "--type=image", image);
  const { Docker } = JSON.parse(inspected) as { Docker: { config: ImageConfig } };
  await proveConfig(Docker.config, inspected);
  const root = await buildah("mount", await buildah("from", image));
  await proveContents(root);
  await proveRuns({ root, config: Docker.config, directory });
  await measure({ buildah, image, base, root, directory });
}

function done(what: string): void {
  console.log(`ok  ${what}`);
}

async function proveConfig(config: ImageConfig, inspected: string): Promise<void> {
  same(config.User, "1001:0");
  same([...config.Entrypoint, ...config.Cmd], ["/app/bin/tagferry", "serve"]);
  same(config.StopSignal, "SIGTERM");
  same(config.Healthcheck.Test, ["CMD", "/app/bin/tagferry", "status", "--live"]);
  ok(config.Env.includes("HOME=/tmp"));
  ok(!/proxy|token=|password|secret=|npmrc|_auth/i.test(inspected), "names a proxy or a secret");
  done("user, entry point, health check and signal are set; no proxy and no secret is named");
}

const execute = promisify(execFile);

/** What builds software, and has no place where software only runs. */
const BUILDERS = ["npm", "npx", "yarn", "gcc", "cc", "g++", "make", "python3", "git", "node-gyp"];

/** For find: not root:root, setuid or setgid, writable by others, unreadable. */
const ODD = "! -uid 0 -o ! -gid 0 -o -perm /6000 -o ! -type l -perm /022 -o ! -type l ! -perm -044".split(
  " ",
);

async function proveContents(root: string): Promise<void> {
  const inside = (path: string): string => join(root, path);
  same((await readdir(inside("app"))).toSorted(), [
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "bin",
    "config",
    "dist",
    "node_modules",
    "package.json",
  ]);
  // the way to the image's node, and nothing else
  same(await readdir(inside("app/node_modules"), { recursive: true }), [".bin", ".bin/node"]);
  const programs = await Promise.all(
    ["usr/local/bin", "usr/bin", "usr/sbin"].map((path) => readdir(inside(path))),
  );
  same(
    programs.flat().filter((name) => BUILDERS.includes(name)),
    [],
  );
  done(`no ${BUILDERS.join(", ")}; /app holds the built program, and no source and no package`);

  const { subject } = JSON.parse(await readFile(inside("app/dist/provenance.json"), "utf8")) as Provenance;
  for (const { name, digest } of subject)
    same(sha256Of(await readFile(inside(`app/${name}`))), digest.sha256, name);
  ok(subject.some(({ name }) => name.startsWith("dist/cache/")));
  done(`each of the ${subject.length} files of the build is the one that its provenance names`);

  const places = ["app", "usr/local", "etc/tagferry"].map(inside);
  const odd = await execute("find", [...places, "(", ...ODD, ")"]);
  same(odd.stdout, "");
  done("every file of ours is root:root, readable by all, writable by nobody else, and not setuid");
}

async function proveRuns({
  root,
  config,
  directory,
}: {
  readonly root: string;
  readonly config: ImageConfig;
  readonly directory: string;
}): Promise<void> {
  const container = { root, config, tmp: join(directory, "tmp"), etc: join(directory, "etc") };
  await mkdir(container.etc);
  await mkdir(container.tmp);
  await execute("chmod", ["1777", container.tmp]);
  const tagferry: Tagferry = async (...args) => {
    const { code, stdout, stderr } = await start(container, [...config.Entrypoint, ...args]).ended;
    same(code, 0, `tagferry ${args.join(" ")} ended with ${code}\n${stdout}${stderr}`);
    return stdout;
  };

  const probe =
    "id -u; id -g; id -G; getent passwd $(id -u); grep -h CapEff /proc/self/status; touch /app/x /etc/x /x";
  const { stdout, stderr } = await start(container, ["sh", "-c", probe]).ended;
  same(stdout.split(/\s+/), [String(UID), "0", "0", "CapEff:", "0000000000000000", ""]);
  same(stderr.match(/Read-only file system/g)?.length, 3);
  done(`runs as ${UID}:0, in no other group, without passwd entry and capabilities, on a read-only root`);

  const { version } = JSON.parse(await readFile(join(root, "app/package.json"), "utf8")) as {
    version: string;
  };
  same(await tagferry("--version"), `${version}\n`);
  ok((await tagferry("--help")).includes("tagferry [options] [command]"));
  done("--version, --help");
  await proveCompiled(container);
  await proveSync(container, tagferry);
  await proveServe(container);
  same(await readdir(container.tmp), []);
  done("it left nothing in /tmp");
}

const COUNT = join(import.meta.dirname, "../test/support/count-compiled.cjs");

async function proveCompiled(container: Container): Promise<void> {
  await copyFile(COUNT, join(container.etc, "count.cjs"));
  const command = ["env", "NODE_OPTIONS=--require=/etc/tagferry/count.cjs", "/app/bin/tagferry", "--version"];
  const { stderr } = await start(container, command).ended;
  const [, taken, scripts] = /^(\d+) of (\d+) scripts$/.exec(stderr) ?? [];
  ok(scripts !== undefined && Number(scripts) > 0 && taken === scripts, stderr);
  await rm(join(container.etc, "count.cjs"));
  done(`V8 takes what it compiled at the build for ${taken} of ${scripts} scripts of --version`);
}

/** Runs it in the image, and gives what it printed on stdout. Fails when it fails. */
type Tagferry = (...args: readonly string[]) => Promise<string>;

async function proveSync({ etc }: Container, tagferry: Tagferry): Promise<void> {
  await using source = await startDockerRegistry();
  await using target = await startDockerRegistry();
  const image = signCosign(buildIndex({ seed: "image", layers: [3_000_000, 40_000] }));
  await pushTo(source, "acme/shop", image, "1.0");
  await writeConfig(etc, {
    version: 1,
    registries: { [source.host]: { plainHttp: true }, [target.host]: { plainHttp: true } },
    mirrors: [
      { name: "shop", source: `${source.host}/acme/shop`, target: `${target.host}/copy/shop`, tags: ["1.0"] },
    ],
  });
  ok((await tagferry("validate")).includes("/etc/tagferry/tagferry.yaml is valid: 1 mirror"));
  done("validate, with the configuration mounted at /etc/tagferry");
  await tagferry("sync");
  const copied = await fetch(`${target.url}/v2/copy/shop/manifests/1.0`, {
    headers: { accept: image.manifest.mediaType },
  });
  same(Buffer.from(await copied.arrayBuffer()), Buffer.from(image.manifest.bytes));
  done(`sync from one docker-registry to another: ${image.manifest.digest}`);
}

async function proveServe(container: Container): Promise<void> {
  const { config, etc } = container;
  const listen = `127.0.0.1:${await freePort()}`;
  await writeConfig(etc, {
    version: 1,
    daemon: { listen },
    mirrors: [{ source: "localhost:1/acme/shop", target: "localhost:1/copy/shop", tags: ["1.0"] }],
  });
  const daemon = start(container, [...config.Entrypoint, ...config.Cmd]);
  same(await daemon.answers(`http://${listen}/livez`), 200);
  const [, ...check] = config.Healthcheck.Test;
  const healthy = await start(container, check).ended;
  same(healthy.code, 0, healthy.stderr);
  await daemon.signal("SIGTERM");
  const { code, stderr } = await daemon.ended;
  same(code, 0, stderr);
  ok((await start(container, check).ended).code !== 0);
  done(
    "serve: alive, healthy for the image's own check, ends with 0 on SIGTERM as process 1; then no longer healthy",
  );
}

async function measure({
  buildah,
  image,
  base,
  root,
  directory,
}: Proof & { readonly root: string }): Promise<void> {
  const unpacked = async (...paths: readonly string[]): Promise<number> => {
    const { stdout } = await execute("du", [
      "-xsc",
      "--block-size=1",
      ...paths.map((path) => join(root, path)),
    ]);
    return Number.parseInt(stdout.trimEnd().split("\n").at(-1) ?? "", 10);
  };
  const pulled = async (name: string): Promise<number> => {
    const layout = join(directory, encodeURIComponent(name));
    await buildah("push", "--quiet", name, `oci:${layout}`);
    const { stdout } = await execute("du", ["-sb", join(layout, "blobs")]);
    return Number.parseInt(stdout, 10);
  };
  const [all, node, ours] = [await unpacked("."), await unpacked("usr/local"), await unpacked("app")];
  const compiled = await unpacked("app/dist/cache");
  const [whole, below] = [await pulled(image), await pulled(base)];
  const rows: readonly (readonly [string, number])[] = [
    ["unpacked, whole", all],
    ["  base", all - node - ours],
    ["  node", node],
    ["  tagferry", ours],
    ["    of that compiled by V8", compiled],
    ["pulled (gzip), whole", whole],
    ["  base", below],
    ["  what we add", whole - below],
  ];
  console.log();
  for (const [what, bytes] of rows)
    console.log(`${what.padEnd(24)}${(bytes / 1e6).toFixed(1).padStart(7)} MB`);
}
