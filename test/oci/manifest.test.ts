import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { isTagferryError, type TagferryError } from "../../src/errors/error.ts";
import { digestOf } from "../../src/oci/digest.ts";
import {
  attestedDigest,
  type Manifest,
  MANIFEST_READ_MAX_BYTES,
  parseManifest,
} from "../../src/oci/manifest.ts";
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_SIGNED,
  OCI_ARTIFACT,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../src/oci/media-type.ts";
import { oddJson } from "../support/images/content.ts";
import {
  buildArtifact,
  buildImage,
  buildIndex,
  buildNestedIndex,
  FIVE_PLATFORMS,
} from "../support/images/images.ts";
import { thrownBy } from "../support/thrown.ts";

const HASH = digestOf(Buffer.from("a"));
const OTHER = digestOf(Buffer.from("b"));
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

const config = { mediaType: OCI_CONFIG, digest: HASH, size: 1 };
const layer = { mediaType: LAYER, digest: OTHER, size: 2 };
const child = { mediaType: OCI_MANIFEST, digest: HASH, size: 3 };
const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] };

function parse(document: unknown, options: Parameters<typeof parseManifest>[1] = {}): Manifest {
  return parseManifest(
    Buffer.from(typeof document === "string" ? document : JSON.stringify(document)),
    options,
  );
}

function refusal(document: unknown, options: Parameters<typeof parseManifest>[1] = {}): TagferryError {
  return thrownBy(() => parse(document, options));
}

describe("parseManifest reads", () => {
  test("an image: its config first among the blobs", () => {
    const bytes = Buffer.from(JSON.stringify(image));
    const manifest = parseManifest(bytes, { contentType: OCI_MANIFEST, expected: digestOf(bytes) });
    expect(manifest).toMatchObject({
      descriptor: { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length },
      kind: "image",
      children: [],
      blobs: [config, layer],
      foreign: [],
      config,
      annotations: {},
    });
    expect(manifest.bytes).toBe(bytes);
  });

  test("an index: its children with their platforms, in order", () => {
    const built = buildIndex({ attestations: true });
    const { kind, children, blobs } = parseManifest(built.manifest.bytes);
    expect(kind).toBe("index");
    expect(blobs).toEqual([]);
    expect(children.map(({ digest }) => digest)).toEqual(
      built.children.map(({ manifest }) => manifest.digest),
    );
    expect(children.slice(0, 5).map(({ platform }) => platform)).toEqual(FIVE_PLATFORMS);
  });

  test.for([
    [DOCKER_MANIFEST, buildImage({ docker: true })],
    [DOCKER_LIST, buildIndex({ docker: true, layers: 1 })],
    [OCI_ARTIFACT, buildArtifact({ withdrawn: true })],
    [OCI_INDEX, buildNestedIndex()],
  ] as const)("%s", ([mediaType, built]) => {
    const { descriptor } = parseManifest(built.manifest.bytes, { contentType: mediaType });
    expect(descriptor).toMatchObject({ mediaType, digest: built.manifest.digest });
  });

  test("the blobs of a withdrawn artifact, which has no config", () => {
    const built = buildArtifact({ withdrawn: true });
    const { blobs, config: none } = parseManifest(built.manifest.bytes);
    expect(blobs.map(({ digest }) => digest)).toEqual([...built.blobs.keys()]);
    expect(none).toBeUndefined();
  });

  test("an artifact with its type, subject and annotations", () => {
    const subject = buildImage();
    const { manifest } = buildArtifact({ subject, artifactType: "application/x.y", annotations: { a: "b" } });
    expect(parseManifest(manifest.bytes)).toMatchObject({
      descriptor: { artifactType: "application/x.y" },
      artifactType: "application/x.y",
      subject: { digest: subject.manifest.digest },
      annotations: { a: "b" },
    });
  });

  test("bytes that nobody's serialiser writes, and hashes them as they are", () => {
    const text = oddJson(image);
    const manifest = parse(text);
    expect(manifest.descriptor.digest).toBe(digestOf(Buffer.from(text)));
    expect(Buffer.from(manifest.bytes).toString()).toBe(text);
    expect(manifest.blobs).toEqual([config, layer]);
  });

  test.for([
    ["no layers at all", { ...image, layers: [] }],
    ["no children at all", { ...index, manifests: [] }],
    ["a blob without a byte", { ...image, layers: [{ ...layer, size: 0 }] }],
    ["a size of 2^53 - 1", { ...image, layers: [{ ...layer, size: Number.MAX_SAFE_INTEGER }] }],
    ["one layer twice", { ...image, layers: [layer, layer] }],
    [
      "a config of any type",
      { ...image, config: { ...config, mediaType: "application/vnd.cncf.helm.config.v1+json" } },
    ],
    ["a layer of any type", { ...image, layers: [{ ...layer, mediaType: "application/wasm" }] }],
    ["fields nobody knows", { ...image, "x-more": { deep: [1.5, 1e300, null] } }],
    ["a sha512 layer", { ...image, layers: [{ ...layer, digest: digestOf(Buffer.from("a"), "sha512") }] }],
    ["annotations that are null", { ...image, annotations: null }],
    ["annotations that are no text, without them", { ...image, annotations: { a: 1, b: "c" } }],
  ] as const)("%s", ([, document]) => {
    expect(() => parse(document)).not.toThrow();
  });

  test("by sha512 what was asked for by sha512", () => {
    const bytes = Buffer.from(JSON.stringify(image));
    const expected = digestOf(bytes, "sha512");
    expect(parseManifest(bytes, { expected }).descriptor.digest).toBe(expected);
  });

  test.for([
    ["application/vnd.oci.image.layer.nondistributable.v1.tar", true],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", true],
    ["application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", true],
    ["application/vnd.docker.image.rootfs.foreign.diff.tar", true],
    ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", true],
    [LAYER, false],
    ["application/vnd.docker.image.rootfs.diff.tar.gzip", false],
  ] as const)("a layer of type %s as foreign: %s, whatever its urls", ([mediaType, foreign]) => {
    const urls = ["https://layers.example/a"];
    const manifest = parse({ ...image, layers: [{ ...layer, mediaType, urls }] });
    expect(manifest.foreign.map(({ digest }) => digest)).toEqual(foreign ? [OTHER] : []);
    expect(manifest.blobs.map(({ digest }) => digest)).toEqual(foreign ? [HASH] : [HASH, OTHER]);
  });

  test("a platform only when it is whole", () => {
    const platforms = [
      { os: "linux" },
      { os: "", architecture: "amd64" },
      "linux/amd64",
      null,
      { os: 1, architecture: 2 },
    ];
    const { children } = parse({
      ...index,
      manifests: platforms.map((platform, position) => ({
        ...child,
        digest: digestOf(Buffer.of(position)),
        platform,
      })),
    });
    expect(children.map(({ platform }) => platform)).toEqual(platforms.map(() => undefined));
  });
});

describe("parseManifest takes as Content-Type", () => {
  test.for([
    [OCI_MANIFEST, image],
    [`${OCI_MANIFEST}; charset=utf-8`, image],
    [OCI_MANIFEST.toUpperCase(), image],
    ["application/json", image],
    ["text/plain; charset=utf-8", image],
    ["application/octet-stream", image],
    [undefined, image],
    ["", image],
    [OCI_INDEX, { ...index, mediaType: undefined }],
    [OCI_MANIFEST, { ...image, mediaType: undefined }],
    [DOCKER_LIST, { ...index, mediaType: undefined }],
  ] as const)("%s", ([contentType, document]) => {
    expect(() => parse(document, { contentType })).not.toThrow();
  });

  test.for([
    ["application/json", index, OCI_INDEX],
    [undefined, { ...index, mediaType: undefined }, OCI_INDEX],
    [undefined, { ...image, mediaType: undefined }, OCI_MANIFEST],
    [DOCKER_MANIFEST, { ...image, mediaType: undefined }, DOCKER_MANIFEST],
  ] as const)("%s, and finds the media type", ([contentType, document, mediaType]) => {
    expect(parse(document, { contentType }).descriptor.mediaType).toBe(mediaType);
  });
});

describe("parseManifest refuses", () => {
  const deep = `${'{"a":'.repeat(65)}1${"}".repeat(65)}`;
  const many = (count: number): unknown[] =>
    Array.from({ length: count }, (_, position) => ({
      ...child,
      digest: digestOf(Buffer.from(`${position}`)),
    }));

  test.for([
    ["D14 no byte", "", "MANIFEST_EMPTY"],
    ["D15 a login page", "<!doctype html><html><title>Log in</title></html>", "MANIFEST_NOT_JSON"],
    ["D15 plain text", "Too Many Requests", "MANIFEST_NOT_JSON"],
    [
      "D15 a registry's error with status 200",
      { errors: [{ code: "UNKNOWN", message: "x" }] },
      "MANIFEST_SHAPE",
    ],
    ["D17 65 levels", deep, "MANIFEST_DEPTH"],
    ["D18 a key twice", '{"schemaVersion":2,"layers":[],"layers":[]}', "MANIFEST_DUPLICATE_KEY"],
    [
      "D18 a key twice in a descriptor",
      `{"config":{"digest":"a","digest":"b"},"layers":[]}`,
      "MANIFEST_DUPLICATE_KEY",
    ],
    ["D19 a byte order mark", `\uFEFF${JSON.stringify(image)}`, "MANIFEST_ENCODING"],
    ["D20 no manifest's media type", { ...image, mediaType: "application/vnd.example" }, "MEDIA_TYPE"],
    ["D20 a media type that is no text", { ...image, mediaType: 7 }, "MEDIA_TYPE"],
    ["D20 an empty media type", { ...image, mediaType: "" }, "MEDIA_TYPE"],
    ["D20 an image that says index", { ...image, mediaType: OCI_INDEX }, "MEDIA_TYPE"],
    ["D20 an index that says image", { ...index, mediaType: OCI_MANIFEST }, "MEDIA_TYPE"],
    ["D21 layers and manifests", { ...image, manifests: [child] }, "MANIFEST_AMBIGUOUS"],
    ["D21 config and manifests", { ...index, config }, "MANIFEST_AMBIGUOUS"],
    ["D21 blobs and manifests", { ...index, blobs: [] }, "MANIFEST_AMBIGUOUS"],
    ["D21 null layers and manifests", { ...index, layers: null }, "MANIFEST_AMBIGUOUS"],
    ["D22 schema 1", { schemaVersion: 1, name: "a", tag: "b", fsLayers: [] }, "MANIFEST_SCHEMA1"],
    ["D22 schema 1 by its media type", { schemaVersion: 1, mediaType: DOCKER_SCHEMA1 }, "MANIFEST_SCHEMA1"],
    ["D23 no config", { ...image, config: undefined }, "MANIFEST_SHAPE"],
    ["D23 null as config", { ...image, config: null }, "MANIFEST_SHAPE"],
    ["D23 a list as config", { ...image, config: [config] }, "MANIFEST_SHAPE"],
    ["D23 no layers", { ...image, layers: undefined }, "MANIFEST_SHAPE"],
    ["D23 null as layers", { ...image, layers: null }, "MANIFEST_SHAPE"],
    ["D23 a map as layers", { ...image, layers: { 0: layer } }, "MANIFEST_SHAPE"],
    ["D23 null as a layer", { ...image, layers: [null] }, "MANIFEST_SHAPE"],
    ["D23 null as manifests", { ...index, manifests: null }, "MANIFEST_SHAPE"],
    ["D23 neither layers nor manifests", { schemaVersion: 2 }, "MANIFEST_SHAPE"],
    ["D23 a list", [], "MANIFEST_SHAPE"],
    ["D23 null", "null", "MANIFEST_SHAPE"],
    ["D23 a text", '"manifest"', "MANIFEST_SHAPE"],
    ["D23 a subject that is none", { ...image, subject: "x" }, "MANIFEST_SHAPE"],
    ["D24 10,001 layers", { ...image, layers: many(10_001) }, "MANIFEST_FANOUT"],
    ["D24 10,001 children", { ...index, manifests: many(10_001) }, "MANIFEST_FANOUT"],
    ["D25 no size", { ...image, layers: [{ ...layer, size: undefined }] }, "DESCRIPTOR_SIZE"],
    ["D25 a text as size", { ...image, layers: [{ ...layer, size: "2" }] }, "DESCRIPTOR_SIZE"],
    ["D25 a fraction as size", { ...image, layers: [{ ...layer, size: 1.5 }] }, "DESCRIPTOR_SIZE"],
    ["D25 a negative size", { ...image, layers: [{ ...layer, size: -1 }] }, "DESCRIPTOR_SIZE"],
    ["D25 null as size", { ...image, config: { ...config, size: null } }, "DESCRIPTOR_SIZE"],
    ["D25 2^53", { ...image, layers: [{ ...layer, size: 2 ** 53 }] }, "DESCRIPTOR_SIZE"],
    ["D25 1e400", JSON.stringify(image).replace('"size":2', '"size":1e400'), "DESCRIPTOR_SIZE"],
    [
      "D25 2^53 + 1, which rounds",
      JSON.stringify(image).replace('"size":2', '"size":9007199254740993'),
      "DESCRIPTOR_SIZE",
    ],
    ["D26 no digest", { ...image, layers: [{ ...layer, digest: undefined }] }, "DESCRIPTOR_DIGEST"],
    [
      "D26 a path as digest",
      { ...image, layers: [{ ...layer, digest: "sha256:../../../etc/passwd" }] },
      "DESCRIPTOR_DIGEST",
    ],
    [
      "D26 a short digest",
      { ...index, manifests: [{ ...child, digest: "sha256:abc" }] },
      "DESCRIPTOR_DIGEST",
    ],
    [
      "D26 an upper-case digest",
      { ...image, config: { ...config, digest: HASH.toUpperCase() } },
      "DESCRIPTOR_DIGEST",
    ],
    [
      "D26 an unknown algorithm",
      { ...image, config: { ...config, digest: `md5:${"a".repeat(32)}` } },
      "DESCRIPTOR_DIGEST",
    ],
    ["D26 a subject's digest", { ...image, subject: { ...child, digest: "x" } }, "DESCRIPTOR_DIGEST"],
    [
      "D27 one digest with two sizes",
      { ...image, layers: [layer, { ...layer, size: 3 }] },
      "DESCRIPTOR_CONFLICT",
    ],
    [
      "D27 config and layer disagree",
      { ...image, layers: [{ ...layer, digest: HASH }] },
      "DESCRIPTOR_CONFLICT",
    ],
    ["D27 children disagree", { ...index, manifests: [child, { ...child, size: 4 }] }, "DESCRIPTOR_CONFLICT"],
    ["D29 other data", { ...image, config: { ...config, size: 2, data: "e30=" } }, "DESCRIPTOR_DATA"],
    [
      "D29 data of another size",
      { ...image, config: { ...config, digest: digestOf(Buffer.from("{}")), size: 3, data: "e30=" } },
      "DESCRIPTOR_DATA",
    ],
    [
      "no media type in a descriptor",
      { ...image, layers: [{ ...layer, mediaType: undefined }] },
      "MEDIA_TYPE",
    ],
  ] as const)("%s", ([, document, code]) => {
    expect(refusal(document).code).toBe(code);
  });

  test.for([
    ["a list of types", `${OCI_MANIFEST}, ${OCI_INDEX}`, "MEDIA_TYPE"],
    ["another type than the body's", DOCKER_MANIFEST, "MEDIA_TYPE"],
    ["an index's type", OCI_INDEX, "MEDIA_TYPE"],
    ["HTML", "text/html", "MEDIA_TYPE"],
    ["schema 1", DOCKER_SCHEMA1_SIGNED, "MANIFEST_SCHEMA1"],
    ["schema 1 with parameters", `${DOCKER_SCHEMA1}; charset=utf-8`, "MANIFEST_SCHEMA1"],
  ] as const)("D20, D22 as Content-Type %s", ([, contentType, code]) => {
    expect(refusal(image, { contentType }).code).toBe(code);
  });

  test("D16 more than 8 MiB, before it reads them", () => {
    const bytes = new Uint8Array(MANIFEST_READ_MAX_BYTES + 1);
    expect(thrownBy(() => parseManifest(bytes)).code).toBe("MANIFEST_TOO_LARGE");
  });

  test("D19 bytes that are not UTF-8", () => {
    const bytes = Buffer.from(JSON.stringify({ ...image, annotations: { a: "é" } }), "latin1");
    expect(thrownBy(() => parseManifest(bytes)).code).toBe("MANIFEST_ENCODING");
  });

  test("D33 content that was not asked for", () => {
    const { code, details } = refusal(image, { expected: HASH });
    expect(code).toBe("DIGEST_MISMATCH");
    expect(details).toMatchObject({ allowed: HASH, found: digestOf(Buffer.from(JSON.stringify(image))) });
  });

  test("and says which document, and where in it", () => {
    const { message } = refusal(
      { ...image, layers: [layer, { ...layer, size: -1 }] },
      { subject: "quay.io/a:v1" },
    );
    expect(message).toContain("quay.io/a:v1: layers[1]");
  });

  test("a login page, and shows its beginning", () => {
    expect(refusal("<html><title>Log in</title></html>").details["found"]).toContain("Log in");
  });
});

test("whatever the fields of a manifest hold, it is read or refused by an error of ours", () => {
  const fields = fc.dictionary(
    fc.constantFrom(
      "mediaType",
      "config",
      "layers",
      "manifests",
      "blobs",
      "subject",
      "annotations",
      "artifactType",
    ),
    fc.oneof(fc.jsonValue(), fc.constantFrom(config, [layer], [child], OCI_INDEX, OCI_MANIFEST)),
  );
  fc.assert(
    fc.property(fields, (document) => {
      expect(["read", "refused"]).toContain(outcomeOf(document));
    }),
  );
});

function outcomeOf(document: unknown): string {
  try {
    parse(document);
    return "read";
  } catch (error) {
    return isTagferryError(error) ? "refused" : "broken";
  }
}

test("10,000 layers are read", () => {
  const layers = Array.from({ length: 10_000 }, (_, position) => ({
    ...layer,
    digest: digestOf(Buffer.from(`${position}`)),
  }));
  expect(parse({ ...image, layers }).blobs).toHaveLength(10_001);
});

test("embedded data that is right is kept", () => {
  const empty = { mediaType: OCI_CONFIG, digest: digestOf(Buffer.from("{}")), size: 2, data: "e30=" };
  expect(parse({ ...image, config: empty }).config).toEqual(empty);
});

test.for([
  [{ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": HASH }, HASH],
  [{ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": "x" }, undefined],
  [{ "vnd.docker.reference.type": "other", "vnd.docker.reference.digest": HASH }, undefined],
  [{}, undefined],
] as const)("an index entry with %j attests %s", ([annotations, expected]) => {
  expect(attestedDigest({ mediaType: OCI_MANIFEST, digest: OTHER, size: 1, annotations })).toBe(expected);
});
