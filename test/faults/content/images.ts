import type { Random } from "../random.ts";
import {
  type Content,
  type Descriptor,
  descriptorOf,
  digestOf,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_INDEX,
  OCI_MANIFEST,
  type StoredManifest,
} from "./content.ts";

/** Layers that several images of a scenario share, like the layers of a base image. */
export type LayerPool = { readonly shared: readonly Buffer[]; readonly large: boolean };

const PLATFORMS = ["amd64", "arm64", "ppc64le", "s390x", "riscv64"] as const;
const LARGE = 4 * 1024 * 1024;

export function layerPool(random: Random, large: boolean): LayerPool {
  return { shared: Array.from({ length: 3 }, () => random.bytes(random.int(1, 12_000))), large };
}

/** An image, an index, a nested index or an artifact: mostly images, as registries hold them. */
export function anyContent(
  random: Random,
  pool: LayerPool,
  { nested }: { readonly nested: boolean },
): Content {
  const chosen = random.float();
  if (chosen < 0.6) return image(random, pool);
  if (chosen < 0.85) return index(random, pool, 1);
  if (chosen < 0.93 && nested) return index(random, pool, 2);
  return artifact(random, undefined);
}

export function image(random: Random, pool: LayerPool): Content {
  const docker = random.chance(0.25);
  const layers = layersOf(random, pool);
  const architecture = random.pick(PLATFORMS);
  const config = jsonBytes(random, {
    architecture,
    os: "linux",
    created: "2026-01-02T03:04:05Z",
    config: { Env: [`ID=${random.bytes(6).toString("hex")}`] },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) },
  });
  const mediaType = docker ? DOCKER_MANIFEST : OCI_MANIFEST;
  const body = {
    schemaVersion: 2,
    ...(docker || random.chance(0.7) ? { mediaType } : {}),
    config: {
      mediaType: docker
        ? "application/vnd.docker.container.image.v1+json"
        : "application/vnd.oci.image.config.v1+json",
      digest: digestOf(config),
      size: config.length,
    },
    layers: layers.map((layer) => ({
      mediaType: docker
        ? "application/vnd.docker.image.rootfs.diff.tar.gzip"
        : random.pick([
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd",
          ]),
      digest: digestOf(layer),
      size: layer.length,
    })),
    ...(docker
      ? {}
      : { annotations: { "org.example.note": "naïve ☃ text", serial: random.bytes(4).toString("hex") } }),
    ...(random.chance(0.2) ? { "x-unknown": { kept: [1, 2.5, null] } } : {}),
  };
  return contentOf({ mediaType, bytes: jsonBytes(random, body) }, [], [config, ...layers]);
}

function layersOf(random: Random, pool: LayerPool): Buffer[] {
  const count = random.int(1, 6);
  const own = Array.from({ length: count }, () =>
    random.chance(0.35) ? random.pick(pool.shared) : random.bytes(random.int(1, 20_000)),
  );
  if (random.chance(0.1)) own.push(...own.slice(0, 1)); // the same layer twice, as empty layers come
  if (pool.large && random.chance(0.3)) own.push(random.bytes(LARGE + random.int(1, 1_500_000)));
  if (random.chance(0.05)) own.push(Buffer.alloc(0));
  // more than the last 64 KiB that the client sends only after verification
  if (random.chance(0.15)) own.push(random.bytes(random.int(70_000, 200_000)));
  return own;
}

function index(random: Random, pool: LayerPool, depth: number): Content {
  const children = Array.from({ length: random.int(1, 3) }, () =>
    depth > 1 && random.chance(0.5) ? index(random, pool, depth - 1) : image(random, pool),
  );
  const [first] = children;
  const attested =
    first !== undefined && random.chance(0.3)
      ? [{ content: artifact(random, undefined), of: first.top.digest }]
      : [];
  const docker = random.chance(0.2) && attested.length === 0 && depth === 1;
  const mediaType = docker ? DOCKER_LIST : OCI_INDEX;
  const body = {
    schemaVersion: 2,
    mediaType,
    manifests: [
      ...children.map(({ top }, at) => ({
        ...top,
        platform: { architecture: PLATFORMS[at % PLATFORMS.length] ?? "amd64", os: "linux" },
      })),
      ...attested.map(({ content, of }) => ({
        ...content.top,
        platform: { architecture: "unknown", os: "unknown" },
        annotations: {
          "vnd.docker.reference.type": "attestation-manifest",
          "vnd.docker.reference.digest": of,
        },
      })),
    ],
    ...(docker ? {} : { annotations: { serial: random.bytes(4).toString("hex") } }),
    ...(docker ? { "x-serial": random.bytes(4).toString("hex") } : {}),
  };
  const parts = [...children, ...attested.map(({ content }) => content)];
  return contentOf({ mediaType, bytes: jsonBytes(random, body) }, parts, []);
}

/** An artifact with the empty config; with a subject it is a referrer. */
export function artifact(random: Random, subject: Descriptor | undefined): Content {
  const empty = Buffer.from("{}");
  const payload = random.bytes(random.int(1, 3_000));
  const artifactType = random.pick([
    "application/spdx+json",
    "application/vnd.in-toto+json",
    "application/x.sig",
  ]);
  const body = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf(empty), size: 2 },
    layers: [{ mediaType: "application/octet-stream", digest: digestOf(payload), size: payload.length }],
    ...(subject === undefined
      ? {}
      : { subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size } }),
    annotations: { serial: random.bytes(4).toString("hex") },
  };
  return contentOf({ mediaType: OCI_MANIFEST, bytes: jsonBytes(random, body) }, [], [empty, payload]);
}

/** What cosign pushes under `sha256-….sig`: an image whose layer is the signed payload. */
export function cosignSignature(random: Random, subject: string): Content {
  const payload = Buffer.from(
    JSON.stringify({ critical: { image: { "docker-manifest-digest": subject } }, n: random.int(0, 1e9) }),
  );
  const config = jsonBytes(random, {
    architecture: "",
    os: "",
    rootfs: { type: "layers", diff_ids: [digestOf(payload)] },
  });
  const body = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: digestOf(config),
      size: config.length,
    },
    layers: [
      {
        mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
        digest: digestOf(payload),
        size: payload.length,
        annotations: { "dev.cosignproject.cosign/signature": random.bytes(32).toString("base64") },
      },
    ],
  };
  return contentOf({ mediaType: OCI_MANIFEST, bytes: jsonBytes(random, body) }, [], [config, payload]);
}

function contentOf(top: StoredManifest, parts: readonly Content[], blobs: readonly Buffer[]): Content {
  const descriptor = descriptorOf(top);
  const { artifactType } = JSON.parse(top.bytes.toString("utf8")) as { artifactType?: string };
  return {
    top: artifactType === undefined ? descriptor : { ...descriptor, artifactType },
    manifests: [...parts.flatMap(({ manifests }) => manifests), { digest: descriptor.digest, manifest: top }],
    blobs: [
      ...parts.flatMap((part) => part.blobs),
      ...blobs.map((bytes) => ({ digest: digestOf(bytes), bytes })),
    ],
  };
}

/** JSON in one of several formats. A mirror that serialises it again changes its digest. */
function jsonBytes(random: Random, value: Readonly<Record<string, unknown>>): Buffer {
  const entries = Object.entries(value);
  const shuffled = random.chance(0.3) ? Object.fromEntries(random.sample(entries, entries.length)) : value;
  const text = JSON.stringify(shuffled, undefined, random.pick([0, 2, 3, "\t"]));
  return Buffer.from(random.chance(0.3) ? `${text}\n` : text);
}
