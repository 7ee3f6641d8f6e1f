import { execFileSync } from "node:child_process";
import { generateKeyPairSync, verify } from "node:crypto";

import { expect, test } from "vitest";

import { digestOf } from "../../src/oci/digest.ts";
import { attestedDigest, parseManifest } from "../../src/oci/manifest.ts";
import { buildLayer } from "../support/images/content.ts";
import {
  allBlobs,
  allManifests,
  buildArtifact,
  buildImage,
  buildIndex,
  buildNestedIndex,
  buildSbom,
  buildSignature,
  cosignTag,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";

test.for([
  ["an image", buildImage()],
  ["a Docker image", buildImage({ docker: true })],
  ["an image with odd white space", buildImage({ oddWhitespace: true, annotations: { note: "é ☃ / + \n" } })],
  ["an image without layers", buildImage({ layers: [] })],
  ["an index of five platforms", buildIndex()],
  ["a Docker list", buildIndex({ docker: true, layers: 1 })],
  ["an index with attestations", buildIndex({ attestations: true, oddWhitespace: true })],
  ["a nested index", buildNestedIndex()],
  ["an artifact", buildArtifact()],
  ["a withdrawn artifact", buildArtifact({ withdrawn: true })],
] as const)("%s names what it carries, and nothing else", ([, image]) => {
  const blobs = allBlobs(image);
  for (const { bytes, mediaType, digest } of allManifests(image)) {
    const manifest = parseManifest(bytes, { contentType: mediaType, expected: digest });
    for (const blob of manifest.blobs) {
      expect(blob.size).toBe(blobs.get(blob.digest)?.length);
      expect(digestOf(blobs.get(blob.digest) ?? new Uint8Array())).toBe(blob.digest);
    }
  }
  expect(blobs.size).toBe(
    new Set(
      allManifests(image).flatMap(({ bytes }) => parseManifest(bytes).blobs.map(({ digest }) => digest)),
    ).size,
  );
});

test("odd white space survives only as bytes", () => {
  const { bytes } = buildImage({ oddWhitespace: true, annotations: { note: "é" } }).manifest;
  expect(Buffer.from(bytes).toString()).toContain(String.raw`\u00e9`);
  expect(JSON.stringify(JSON.parse(Buffer.from(bytes).toString()))).not.toBe(Buffer.from(bytes).toString());
});

test.for(["gzip", "zstd", "none"] as const)("a %s layer unpacks to its diff id", (compression) => {
  const layer = buildLayer("seed", { sizeBytes: 3_000, compression });
  const program = { gzip: "gzip", zstd: "zstd", none: "cat" }[compression];
  const tar = execFileSync(program, compression === "none" ? [] : ["-dc"], { input: layer.bytes });
  expect(digestOf(tar)).toBe(layer.diffId);
  expect(execFileSync("tar", ["-tvf", "-"], { input: tar, encoding: "utf8" })).toMatch(
    /3000 .* srv\/seed\.bin/,
  );
});

test("the same seed gives the same image, another seed shares only layers that are passed in", () => {
  const shared = buildLayer("shared");
  const one = buildImage({ seed: "one", layers: [shared, 100] });
  const other = buildImage({ seed: "other", layers: [shared, 100] });
  expect(buildImage({ seed: "one", layers: [shared, 100] }).manifest.digest).toBe(one.manifest.digest);
  const common = [...one.blobs.keys()].filter((digest) => other.blobs.has(digest));
  expect(common).toEqual([digestOf(shared.bytes)]);
});

test("a foreign layer is named, and not among the blobs", () => {
  const image = buildImage({ foreign: true, layers: 1 });
  const manifest = parseManifest(image.manifest.bytes);
  expect(manifest.foreign).toHaveLength(1);
  expect(image.blobs.size).toBe(2);
});

test("attestations point at their images", () => {
  const index = buildIndex({ attestations: true });
  const { children } = parseManifest(index.manifest.bytes);
  const attested = children.map(attestedDigest).filter((digest) => digest !== undefined);
  expect(attested).toEqual(children.slice(0, 5).map(({ digest }) => digest));
});

test("what refers to an image comes after it, and names it", () => {
  const image = buildImage();
  const sbom = buildSbom(image);
  const signed = withReferrers(image, withReferrers(sbom, buildSignature(sbom)));
  const [first, second, third] = allManifests(signed);
  expect(first?.digest).toBe(image.manifest.digest);
  expect(second?.subject).toBe(image.manifest.digest);
  expect(third?.subject).toBe(second?.digest);
  expect(allManifests(signed, { referrers: false })).toHaveLength(1);
});

test("a cosign signature verifies", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { manifest, referrers } = signCosign(buildImage(), { privateKey });
  const [signature] = referrers;
  expect(signature?.tag).toBe(cosignTag(manifest.digest));
  const [, payload] = [...(signature?.image.blobs.values() ?? [])];
  const document = JSON.parse(Buffer.from(signature?.image.manifest.bytes ?? []).toString()) as {
    layers: { annotations: Record<string, string> }[];
  };
  const text = document.layers[0]?.annotations["dev.cosignproject.cosign/signature"] ?? "";
  expect(verify("sha256", payload ?? new Uint8Array(), publicKey, Buffer.from(text, "base64"))).toBe(true);
});
