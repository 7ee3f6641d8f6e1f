// Pins the base of an image by its digest, and writes beside an image what is in it and what it was made of.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { imageSbom } from "./build/image-sbom.ts";
import { provenanceOf, type Revision } from "./build/provenance.ts";
import type { Sbom } from "./build/sbom.ts";
import type { Buildah } from "./image-proof.ts";

/** A base image as it is today. */
export type Base = { readonly name: string; readonly digest: string };

/** Pulls a base and names it by its digest. One that only this machine has (localhost/…) keeps its name. */
export async function pinBase(buildah: Buildah, name: string): Promise<Base> {
  const isLocal = name.startsWith("localhost/");
  if (!isLocal) await buildah("pull", "--quiet", name);
  const digest = await buildah("inspect", "--type=image", "--format={{.FromImageDigest}}", name);
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`${name} has no digest: "${digest}"`);
  return { name: isLocal || name.includes("@") ? name : `${name}@${digest}`, digest };
}

/** What the Dockerfile builds on. */
export async function defaultBase(root: string): Promise<string> {
  const [, base] = /^ARG BASE=(.+)$/m.exec(await readFile(join(root, "Dockerfile"), "utf8")) ?? [];
  if (base === undefined) throw new Error("the Dockerfile names no base");
  return base;
}

type StatementsOptions = {
  readonly root: string;
  readonly buildah: Buildah;
  readonly image: string;
  readonly base: Base;
  readonly version: string;
  readonly revision: Revision;
  /** Where they are written: `image.cdx.json`, `image.provenance.json`. */
  readonly into: string;
};

/**
 * The digest is that of the image's configuration (its ID): it stays the same when a registry compresses the layers anew,
 * which gives another digest to the manifest.
 */
export async function writeStatements(options: StatementsOptions): Promise<void> {
  const { root, buildah, image, base, version, revision, into } = options;
  const sha256 = await buildah("inspect", "--type=image", "--format={{.FromImageID}}", image);
  const container = await buildah("from", "--pull-never", image);
  try {
    const read = async (path: string): Promise<string> => buildah("run", container, "--", "cat", path);
    const program = JSON.parse(await read("/app/dist/sbom.cdx.json")) as Sbom;
    const sbom = imageSbom(
      {
        name: image,
        version,
        sha256,
        dpkg: await read("/var/lib/dpkg/status"),
        osRelease: await read("/etc/os-release"),
        node: process.versions.node,
      },
      program,
    );
    const provenance = await provenanceOf({
      root,
      kind: "image",
      revision,
      subjects: [{ name: image, digest: { sha256 } }],
      materials: [{ uri: `docker://${base.name}`, digest: { sha256: base.digest.replace("sha256:", "") } }],
    });
    await mkdir(into, { recursive: true });
    for (const [name, what] of [
      ["image.cdx.json", sbom],
      ["image.provenance.json", provenance],
    ] as const)
      await writeFile(join(into, name), `${JSON.stringify(what, undefined, 2)}\n`);
  } finally {
    await buildah("rm", container);
  }
}
