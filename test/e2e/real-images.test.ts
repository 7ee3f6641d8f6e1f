import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";

import { beforeAll, describe, expect, test } from "vitest";

import { startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { layerOfFiles, oddFiles } from "../support/file-system.ts";
import { buildImage, buildIndexOf, pushTo, signCosign } from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import {
  type DockerRegistry,
  makeCertificates,
  PASSWORD,
  skopeo,
  startDockerRegistry,
  USERNAME,
} from "../support/servers.ts";
import { tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const REPOSITORY = "library/debian";

/** Two platforms made of this machine's own file system: perl, certificates with their links, programs with setuid bits. */
let image: BuiltImage;
beforeAll(async () => {
  await using directory = await temporaryDirectory();
  const odd = await oddFiles(directory);
  const base = await layerOfFiles(
    ["/usr/lib/*-linux-gnu/perl-base", "/etc/ssl/certs", "/etc/alternatives"],
    "gzip",
  );
  const programs = await layerOfFiles(
    ["/usr/bin/passwd", "/usr/bin/su", "/usr/bin/mount", "/bin/bash"],
    "gzip",
  );
  const more = await layerOfFiles([odd], "zstd");
  const of = (architecture: string, layers: readonly (typeof base)[]): BuiltImage =>
    buildImage({ seed: architecture, layers, platform: { os: "linux", architecture } });
  const platforms = [
    { architecture: "amd64", built: of("amd64", [base, programs, more]) },
    { architecture: "arm64", built: of("arm64", [base, more]) },
  ];
  image = signCosign(
    buildIndexOf(
      platforms.map(({ architecture, built }) => ({ image: built, platform: { os: "linux", architecture } })),
      { oddWhitespace: true },
    ),
  );
}, 60_000);

type Source = { readonly name: string; readonly auth: "none" | "htpasswd" | "bearer"; readonly tls: boolean };

const SOURCES: readonly Source[] = [
  { name: "a plain registry", auth: "none", tls: false },
  { name: "a registry with TLS and htpasswd", auth: "htpasswd", tls: true },
  { name: "a registry with TLS behind a token server", auth: "bearer", tls: true },
];

/** skopeo brings the image to the source: nothing of ours has touched it before it is mirrored. */
async function startSource({ auth, tls }: Source): Promise<DockerRegistry> {
  await using stack = new AsyncDisposableStack();
  const source = stack.use(await startDockerRegistry({ auth, tls }));
  const { trustDirectory } = await makeCertificates();
  await using plain = await startDockerRegistry({});
  await pushTo({ url: plain.url }, REPOSITORY, image, "12");
  for (const tag of ["12", `${image.manifest.digest.replace(":", "-")}.sig`])
    await skopeo([
      "copy",
      "--all",
      "--preserve-digests",
      "--src-tls-verify=false",
      ...(tls ? ["--dest-cert-dir", trustDirectory] : ["--dest-tls-verify=false"]),
      ...(auth === "none" ? [] : ["--dest-creds", `${USERNAME}:${PASSWORD}`]),
      `docker://${plain.host}/${REPOSITORY}:${tag}`,
      `docker://${source.host}/${REPOSITORY}:${tag}`,
    ]);
  stack.move();
  return source;
}

const rawOf = async (reference: string, ...flags: string[]): Promise<string> =>
  (await skopeo(["inspect", "--raw", ...flags, reference])).toString();

/** Pulls with skopeo and looks at every file: named by its digest, and so it has to be. */
async function pull(reference: string, to: string, ...flags: string[]): Promise<number> {
  await skopeo(["copy", "--all", "--preserve-digests", ...flags, reference, `oci:${to}:1`]);
  const names = await readdir(`${to}/blobs/sha256`);
  for (const name of names)
    expect(
      createHash("sha256")
        .update(await readFile(`${to}/blobs/sha256/${name}`))
        .digest("hex"),
    ).toBe(name);
  return names.length;
}

const digestInStream = (cluster: TestCluster, stream: string): string | undefined =>
  cluster.stream("web", stream)?.status?.tags?.find(({ tag }) => tag === "12")?.items?.[0]?.image;

describe.for(SOURCES)("an image of a real file system in $name", (kind) => {
  test("is byte by byte the same in another registry, in a layout and in a stream, and can be pulled from each", async () => {
    await using directory = await temporaryDirectory();
    await using source = await startSource(kind);
    await using target = await startDockerRegistry({});
    await using cluster = await startCluster({ namespaces: ["web"] });
    const { ca } = await makeCertificates();
    const from = `${source.host}/${REPOSITORY}`;
    const layout = directory.join("layout");
    // the others would need a pull secret and an authority that the cluster trusts
    const imported = kind.auth === "none";
    const config = await writeConfig(directory.path, {
      version: 1,
      registries: {
        [source.host]:
          kind.auth === "none"
            ? { plainHttp: true }
            : {
                ca: ca.certFile,
                credentials: { username: USERNAME, password: "${PASSWORD}" },
                tokenRealms: ["localhost"],
              },
        [target.host]: { plainHttp: true },
        [cluster.registryHost]: { plainHttp: true },
      },
      clusters: {
        here: {
          kubeconfigFile: await cluster.writeKubeconfig(directory.path),
          registry: cluster.registryHost,
        },
      },
      defaults: { tags: ["12"] },
      mirrors: [
        { name: "registry", source: from, target: `${target.host}/mirror/debian` },
        { name: "layout", source: from, target: `oci:${layout}` },
        { name: "stream", source: from, target: "imagestream:web/debian" },
        ...(imported
          ? [{ name: "import", source: from, target: "imagestream:web/imported", storage: "source" }]
          : []),
      ],
    });
    const run = await tagferry(["sync", "-c", config, "-o", "json"], { env: { PASSWORD } });
    expect(run.code, run.stdout + run.stderr).toBe(0);

    const wanted = Buffer.from(image.manifest.bytes).toString();
    const { trustDirectory } = await makeCertificates();
    const flags =
      kind.auth === "none"
        ? ["--tls-verify=false"]
        : ["--cert-dir", trustDirectory, "--creds", `${USERNAME}:${PASSWORD}`];
    expect(await rawOf(`docker://${from}:12`, ...flags)).toBe(wanted);
    const inRegistry = `docker://${target.host}/mirror/debian:12`;
    const inStream = `docker://${cluster.registryHost}/web/debian:12`;
    const login = ["--creds", `any:${cluster.token}`];
    expect(await rawOf(inRegistry, "--tls-verify=false")).toBe(wanted);
    expect(await rawOf(`oci:${layout}:12`)).toBe(wanted);
    expect(await rawOf(inStream, "--tls-verify=false", ...login)).toBe(wanted);
    expect(digestInStream(cluster, "debian")).toBe(image.manifest.digest);
    expect(digestInStream(cluster, "imported")).toBe(imported ? image.manifest.digest : undefined);

    const counts = [
      await pull(inRegistry, directory.join("from-registry"), "--src-tls-verify=false"),
      await pull(`oci:${layout}:12`, directory.join("from-layout")),
      await pull(
        inStream,
        directory.join("from-stream"),
        "--src-tls-verify=false",
        "--src-creds",
        `any:${cluster.token}`,
      ),
    ];
    // index, two manifests, two configs, three layers
    expect(counts).toEqual([8, 8, 8]);
    const signature = `${image.manifest.digest.replace(":", "-")}.sig`;
    expect(await rawOf(`docker://${target.host}/mirror/debian:${signature}`, "--tls-verify=false")).toContain(
      "cosign",
    );

    const again = await tagferry(["sync", "-c", config, "-o", "json"], { env: { PASSWORD } });
    expect(JSON.parse(again.stdout)).toMatchObject({
      totals: { unchanged: imported ? 4 : 3, copied: 0, bytes: 0 },
    });
  }, 60_000);
});
