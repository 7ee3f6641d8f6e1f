import { createHash, randomFillSync } from "node:crypto";

import { makeCertificates } from "../test/support/certificates.ts";
import { type Layer, buildLayer } from "../test/support/images/content.ts";
import { buildImage, pushTo } from "../test/support/images/images.ts";
import type { BenchRegistry } from "./servers.ts";

/** A layer of bytes that do not compress. It begins as gzip does: skopeo compresses what does not. */
function randomLayer(sizeBytes: number): Layer {
  const bytes = randomFillSync(Buffer.allocUnsafeSlow(sizeBytes));
  bytes.set([0x1f, 0x8b, 8, 0]);
  const diffId = `sha256:${createHash("sha256").update(bytes).digest("hex")}` as const;
  return { bytes, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", diffId };
}

type SeedOptions = { readonly repository: string; readonly tag: string; readonly layers: readonly number[] };

/** One image of layers of the given sizes. */
export async function seedImage(
  registry: BenchRegistry,
  { repository, tag, layers }: SeedOptions,
): Promise<void> {
  const image = buildImage({ seed: `${repository}:${tag}`, layers: layers.map(randomLayer) });
  await pushTo(await target(registry), repository, image, tag);
}

export type Fleet = {
  readonly repositories: number;
  readonly tags: number;
  readonly layerBytes: number;
};

/** Many images of five layers: two that repositories share, one of each repository, two of its own. Names the repositories. */
export async function seedFleet(
  registry: BenchRegistry,
  { repositories, tags, layerBytes }: Fleet,
): Promise<string[]> {
  const http = await target(registry);
  const made = new Map<string, Layer>();
  const layer = (seed: string): Layer => {
    const known = made.get(seed) ?? buildLayer(seed, { sizeBytes: layerBytes, compression: "gzip" });
    made.set(seed, known);
    return known;
  };
  const names = Array.from({ length: repositories }, (_, index) => `team/app${index}`);
  for (const [index, repository] of names.entries())
    for (let tag = 0; tag < tags; tag += 1) {
      const own = [0, 1].map((part) => buildLayer(`own-${index}-${tag}-${part}`, { sizeBytes: layerBytes }));
      const shared = [layer(`base-${index % 5}`), layer(`runtime-${index % 20}`), layer(`app-${index}`)];
      const image = buildImage({ seed: `${index}-${tag}`, layers: [...shared, ...own] });
      await pushTo(http, repository, image, `v${tag}`);
    }
  return names;
}

async function target({ url }: BenchRegistry): Promise<{ url: string; ca: string }> {
  const { ca } = await makeCertificates();
  return { url, ca: ca.cert };
}
