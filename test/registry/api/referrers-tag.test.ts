import { describe, expect, test } from "vitest";

import type { Digest } from "../../../src/oci/digest.ts";
import { parseManifest } from "../../../src/oci/manifest.ts";
import { OCI_INDEX } from "../../../src/oci/media-type.ts";
import { buildArtifact, buildImage, pushTo } from "../../support/images/images.ts";
import type { BuiltImage } from "../../support/images/manifest.ts";
import { registryClient } from "../../support/registry/client.ts";
import { afterwards, doing, header, registryError, together } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import type { Fault } from "../../support/registry/rules.ts";

const REPOSITORY = "library/app";
const IMAGE = buildImage({ seed: "subject", layers: 1 });
const TAG = IMAGE.manifest.digest.replace(":", "-");
const WRITE = { method: "PUT", kind: "manifest", reference: TAG } as const;
const READ = { method: "GET", kind: "manifest", reference: TAG } as const;

/** The referrers of the image, each with its own digest. */
const referrer = (name: string): BuiltImage => buildArtifact({ subject: IMAGE, annotations: { name } });
const [OURS, THEIRS, OLD] = [referrer("ours"), referrer("theirs"), referrer("old")];

/** A registry with the image and all its referrers. It does not list them. */
async function withoutApi({ etag = true }: { readonly etag?: boolean } = {}): Promise<TestRegistry> {
  const registry = await startRegistry({ behaviour: { referrersApi: false, etag } });
  for (const image of [IMAGE, OURS, THEIRS, OLD])
    await pushTo(registry, REPOSITORY, image, image.manifest.digest.slice(7, 20));
  return registry;
}

async function push(registry: TestRegistry, { manifest }: BuiltImage): Promise<void> {
  await using client = registryClient(registry.host);
  const { bytes, mediaType } = manifest;
  const parsed = parseManifest(bytes, { contentType: mediaType, subject: "the test" });
  await client.repository(REPOSITORY).pushManifest(parsed);
}

/** Another tool writes the index anew. */
function write(registry: TestRegistry, ...images: readonly BuiltImage[]): void {
  const manifests = images.map(({ manifest: { bytes, digest, mediaType } }) => ({
    mediaType,
    digest,
    size: bytes.length,
  }));
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  registry.putManifest(REPOSITORY, index, OCI_INDEX, TAG);
}

/** Sends ETags but does not accept them in If-Match. */
const broken: Fault = ({ headers }, respondNormally) =>
  headers["if-match"] === undefined ? respondNormally() : { status: 412, headers: {} };

async function listed(registry: TestRegistry): Promise<readonly Digest[]> {
  await using client = registryClient(registry.host);
  const { children } = await client.repository(REPOSITORY).manifest(TAG);
  return children.map(({ digest }) => digest);
}

const digests = (...images: readonly BuiltImage[]): Digest[] => images.map(({ manifest }) => manifest.digest);

/** Like a registry that follows RFC 9110. */
function honouringIfMatch(registry: TestRegistry): Fault {
  return ({ headers }, respondNormally) => {
    const wanted = headers["if-match"];
    const fits = wanted === undefined || wanted === `"${registry.digestOf(REPOSITORY, TAG)}"`;
    return fits
      ? respondNormally()
      : { status: 412, headers: { "content-type": "text/plain" }, body: Buffer.from("no") };
  };
}

describe("the index under the fallback tag, written by two", () => {
  test("has the entries of both when both read it before either wrote", async () => {
    await using registry = await withoutApi();
    const [first, second] = [registry.gate(WRITE), registry.gate(WRITE)];
    const pushing = Promise.all([push(registry, OURS), push(registry, THEIRS)]);
    for (const held of await Promise.all([first, second])) held.release();
    await pushing;
    expect((await listed(registry)).toSorted()).toEqual(digests(OURS, THEIRS).toSorted());
  });

  test("has our entry and theirs when they write over ours", async () => {
    await using registry = await withoutApi();
    write(registry, OLD);
    registry.on(
      WRITE,
      afterwards(() => write(registry, OLD, THEIRS)),
    );
    await push(registry, OURS);
    expect(await listed(registry)).toEqual(digests(OLD, THEIRS, OURS));
    expect(registry.ledger.count(WRITE)).toBe(2);
  });

  test("is given up, and said to be, when our entry never stays", async () => {
    await using registry = await withoutApi();
    registry.on(
      { ...WRITE, always: true },
      afterwards(() => write(registry, THEIRS)),
    );
    await expect(push(registry, OURS)).rejects.toMatchObject({
      code: "TARGET_READBACK",
      details: { where: `${registry.host}/${REPOSITORY}:${TAG}`, allowed: OURS.manifest.digest },
    });
    expect(registry.ledger.count(WRITE)).toBeLessThanOrEqual(8);
  });

  test("is read, written and looked at once when nobody else writes", async () => {
    await using registry = await withoutApi();
    registry.ledger.clear();
    await push(registry, OURS);
    const asked = registry.ledger.find({ reference: TAG }).map(({ method }) => method);
    expect(asked).toEqual(["GET", "PUT", "GET"]);
    await push(registry, OURS);
    expect(registry.ledger.count(WRITE)).toBe(1);
  });
});

describe("a registry that looks at If-Match", () => {
  test("lets us write over nothing that we have not read", async () => {
    await using registry = await withoutApi();
    write(registry, OLD);
    const seen = registry.digestOf(REPOSITORY, TAG);
    const theirs = doing(() => write(registry, OLD, THEIRS));
    registry.on(WRITE, together(theirs, honouringIfMatch(registry)), honouringIfMatch(registry));
    await push(registry, OURS);
    const [refused, written, ...more] = registry.ledger.find(WRITE);
    expect(more).toEqual([]);
    expect([refused?.status, refused?.headers["if-match"]]).toEqual([412, `"${seen}"`]);
    expect(written?.status).toBe(201);
    expect(written?.headers["if-match"]).not.toBe(refused?.headers["if-match"]);
    expect(await listed(registry)).toEqual(digests(OLD, THEIRS, OURS));
  });

  test("and refuses its own ETag is written to without it", async () => {
    await using registry = await withoutApi();
    write(registry, OLD);
    registry.on({ ...WRITE, always: true }, broken);
    await push(registry, OURS);
    expect(registry.ledger.find(WRITE).map(({ status }) => status)).toEqual([412, 201]);
    expect(await listed(registry)).toEqual(digests(OLD, OURS));
  });

  test.for([
    ["no ETag", undefined],
    ["a weak one", 'W/"made-by-a-proxy"'],
  ])("and gives %s is not asked to", async ([, etag]) => {
    await using registry = await withoutApi({ etag: false });
    write(registry, OLD);
    if (etag !== undefined) registry.on({ ...READ, always: true }, header("etag", etag));
    await push(registry, OURS);
    expect(registry.ledger.find(WRITE).map(({ headers }) => headers["if-match"])).toEqual([undefined]);
  });

  test("is not written to again when the tag is immutable", async () => {
    await using registry = await withoutApi();
    write(registry, OLD);
    const immutable = registryError(412, "PRECONDITION", { message: "configured as immutable" });
    registry.on({ ...WRITE, always: true }, immutable);
    await expect(push(registry, OURS)).rejects.toMatchObject({ code: "TARGET_IMMUTABLE" });
    expect(registry.ledger.count(WRITE)).toBe(1);
  });
});
