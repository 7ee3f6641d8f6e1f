import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

import { expect, test } from "vitest";

import type { Provenance } from "../../scripts/build/provenance.ts";
import type { Sbom } from "../../scripts/build/sbom.ts";
import { programComponent, sbomOf } from "../../scripts/build/sbom.ts";
import type { Buildah } from "../../scripts/image-proof.ts";
import { defaultBase, pinBase, writeStatements } from "../../scripts/image-statements.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const DIGEST = `sha256:${"ab".repeat(32)}`;

/** Answers calls by their first words, and records them. */
function fakeBuildah(answers: Readonly<Record<string, string>>): {
  readonly buildah: Buildah;
  readonly calls: string[];
} {
  const calls: string[] = [];
  return {
    calls,
    async buildah(...args) {
      const call = args.join(" ");
      calls.push(call);
      return Object.entries(answers).find(([start]) => call.startsWith(start))?.[1] ?? "";
    },
  };
}

test("a base is pulled and built on by its digest, and one of this machine keeps its name", async () => {
  const { buildah, calls } = fakeBuildah({ inspect: DIGEST });
  expect(await pinBase(buildah, "docker.io/library/debian:bookworm-slim")).toEqual({
    name: `docker.io/library/debian:bookworm-slim@${DIGEST}`,
    digest: DIGEST,
  });
  expect(calls[0]).toBe("pull --quiet docker.io/library/debian:bookworm-slim");
  expect(await pinBase(buildah, "localhost/debian:bookworm")).toEqual({
    name: "localhost/debian:bookworm",
    digest: DIGEST,
  });
  const pinned = `registry.corp.example/debian@${DIGEST}`;
  expect((await pinBase(buildah, pinned)).name).toBe(pinned);
  await expect(pinBase(fakeBuildah({}).buildah, "localhost/debian")).rejects.toThrow("has no digest");
});

test("the base that is pinned by default is the Dockerfile's", async () => {
  expect(await defaultBase(ROOT)).toBe("docker.io/library/debian:bookworm-slim");
});

const DPKG = `Package: base-files
Status: install ok installed
Architecture: amd64
Version: 12.4+deb12u11
Description: Debian base system miscellaneous files
 Package: not-a-package, but a line of a description

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
`;

test("beside an image is written what is in it, base and Node included, and what it was made of", async () => {
  await using directory = await temporaryDirectory();
  const image = "localhost/tagferry";
  const program = sbomOf(programComponent("1.2.3"), { packages: [], direct: [] });
  const { buildah, calls } = fakeBuildah({
    inspect: "cd".repeat(32),
    from: "container-1",
    "run container-1 -- cat /app/dist/sbom.cdx.json": JSON.stringify(program),
    "run container-1 -- cat /var/lib/dpkg/status": DPKG,
    "run container-1 -- cat /etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n',
  });
  await writeStatements({
    root: ROOT,
    buildah,
    image,
    base: { name: `debian@${DIGEST}`, digest: DIGEST },
    version: "1.2.3",
    revision: { commit: "2".repeat(40), changed: false },
    into: directory.path,
  });
  expect(calls.at(-1)).toBe("rm container-1");
  const read = async <T>(name: string): Promise<T> =>
    JSON.parse(await readFile(directory.join(name), "utf8")) as T;

  const sbom = await read<Sbom>("image.cdx.json");
  expect(sbom.metadata.component).toMatchObject({ type: "container", name: image });
  expect(sbom.components.map(({ purl }) => purl)).toEqual([
    "pkg:deb/debian/base-files@12.4%2Bdeb12u11?arch=amd64&distro=debian-12",
    `pkg:generic/node@${process.versions.node}`,
    "pkg:npm/tagferry@1.2.3",
  ]);
  expect(sbom.dependencies[0]).toEqual({
    ref: image,
    dependsOn: sbom.components.map((component) => component["bom-ref"]),
  });

  const { subject, predicate } = await read<Provenance>("image.provenance.json");
  expect(subject).toEqual([{ name: image, digest: { sha256: "cd".repeat(32) } }]);
  expect(predicate.buildDefinition.resolvedDependencies).toEqual(
    expect.arrayContaining([
      { uri: "urn:tagferry:source", digest: { gitCommit: "2".repeat(40) } },
      { uri: `docker://debian@${DIGEST}`, digest: { sha256: "ab".repeat(32) } },
    ]),
  );
});
