import { describe, expect, test } from "vitest";

import { digestOf } from "../../src/oci/digest.ts";
import { openCopySetting } from "../support/copy-setting.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import { buildImage, buildIndex, pushTo } from "../support/images/images.ts";
import { header, html, status } from "../support/registry/faults.ts";
import type { Fault } from "../support/registry/rules.ts";

/** The answer of a proxy that does not forward the request to the registry. */
const PAGES = [200, 202, 204];

const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

describe("a manifest whose PUT is answered by something other than 201", () => {
  test.for(PAGES)("(%i, once) is not there and is sent again", async (code) => {
    await using setting = await openCopySetting({ to: { verifyReferences: false } });
    const { from, to, source, target } = setting;
    const image = buildIndex({ layers: 1 });
    await pushTo(from, "team/app", image, "v1");
    to.on({ method: "PUT", kind: "manifest" }, html(code));
    await copied(image.manifest.digest, source, target, { tag: "v1" });
    expect(to.digestOf("mirror/app", "v1")).toBe(image.manifest.digest);
    expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
  });

  test.for([200])("(%i, always) fails the copy, and no tag is written", async (code) => {
    await using setting = await openCopySetting({ to: { verifyReferences: false } });
    const { from, to, source, target } = setting;
    const image = buildIndex({ layers: 1 });
    await pushTo(from, "team/app", image, "v1");
    const child = image.children[0]?.manifest.digest ?? "";
    to.on({ method: "PUT", kind: "manifest", reference: child, always: true }, html(code));
    const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
    expect(failure.code).toBe("TARGET_UNPROVEN");
    expect(to.digestOf("mirror/app", "v1")).toBeUndefined();
  });

  test("and was stored all the same is believed after it was read back", async () => {
    await using setting = await openCopySetting();
    const { from, to, source, target } = setting;
    const image = buildImage({ layers: 1 });
    await pushTo(from, "team/app", image, "v1");
    to.on({ method: "PUT", kind: "manifest", always: true }, async (_request, respond) => ({
      ...(await respond()),
      status: 202,
    }));
    await copied(image.manifest.digest, source, target, {});
    expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
    expect(to.ledger.count({ method: "PUT", kind: "manifest" })).toBe(1);
  });

  test("is not believed with another length", async () => {
    await using setting = await openCopySetting();
    const { from, to, source, target } = setting;
    const image = buildImage({ layers: 1 });
    await pushTo(from, "team/app", image, "v1");
    to.on({ method: "PUT", kind: "manifest", always: true }, html(200));
    to.on({ method: "HEAD", kind: "manifest", always: true }, () => ({
      status: 200,
      headers: {
        "content-type": image.manifest.mediaType,
        "docker-content-digest": image.manifest.digest,
        "content-length": "7",
      },
    }));
    const failure = await failureOfCopy(copied(image.manifest.digest, source, target, {}));
    expect(failure.code).toBe("TARGET_UNPROVEN");
  });
});

/** Without the header that distribution sends, nobody knows whether it refuses an index without its children. */
const unnamed =
  (lies: { left: number }, child: string): Fault =>
  async ({ entry: { method, reference } }, respond) => {
    const isLie = method === "PUT" && reference === child && lies.left > 0;
    if (isLie) lies.left -= 1;
    const answer = isLie ? { status: 201, headers: {} } : await respond();
    return { ...answer, headers: { ...answer.headers, "docker-distribution-api-version": undefined } };
  };

describe("a registry of unknown kind that answers 201 for a child and does not store it", () => {
  test.for([
    ["once: the child is sent again", 1, "done"],
    ["always: the copy fails, and no tag is written", Infinity, "TARGET_UNPROVEN"],
  ] as const)("%s", async ([, left, ending]) => {
    await using setting = await openCopySetting({ to: { verifyReferences: false } });
    const { from, to, source, target } = setting;
    const image = buildIndex({ layers: 1 });
    await pushTo(from, "team/app", image, "v1");
    to.on({ always: true }, unnamed({ left }, image.children[0]?.manifest.digest ?? ""));
    const copying = copied(image.manifest.digest, source, target, { tag: "v1" });
    if (ending === "done") {
      await copying;
      expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
      return;
    }
    expect((await failureOfCopy(copying)).code).toBe(ending);
    expect(to.digestOf("mirror/app", "v1")).toBeUndefined();
  });
});

describe("a blob whose closing PUT is answered by something other than 201", () => {
  test.for(PAGES)("(%i, once) is sent again", async (code) => {
    await using setting = await openCopySetting({ to: { verifyReferences: false } });
    const { from, to, source, target } = setting;
    const image = buildImage({ layers: 2 });
    await pushTo(from, "team/app", image, "v1");
    to.on({ method: "PUT", kind: "upload" }, html(code));
    await copied(image.manifest.digest, source, target, { tag: "v1" });
    expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
    expect(to.ledger.count({ method: "PUT", kind: "upload" })).toBe(image.blobs.size + 1);
  });

  test.for(PAGES)("(%i, always) fails the copy", async (code) => {
    await using setting = await openCopySetting({ to: { verifyReferences: false } });
    const { from, to, source, target } = setting;
    const image = buildImage({ layers: 1 });
    await pushTo(from, "team/app", image, "v1");
    to.on({ method: "PUT", kind: "upload", always: true }, html(code));
    const failure = await failureOfCopy(copied(image.manifest.digest, source, target, { tag: "v1" }));
    expect(failure.code).toBe("TARGET_UNPROVEN");
    expect(to.digestOf("mirror/app", "v1")).toBeUndefined();
  });

  test("and was stored all the same is found there, and not sent again", async () => {
    await using setting = await openCopySetting();
    const { from, to, source, target } = setting;
    const image = buildImage({ layers: 2 });
    await pushTo(from, "team/app", image, "v1");
    to.on({ method: "PUT", kind: "upload", always: true }, async (_request, respond) => ({
      ...(await respond()),
      status: 204,
    }));
    await copied(image.manifest.digest, source, target, { tag: "v1" });
    expect(to.ledger.count({ method: "PUT", kind: "upload" })).toBe(image.blobs.size);
  });
});

describe("a blob that is at the target", () => {
  test.for([
    ["a registry that is asked by HEAD", {}],
    ["a registry that is asked by a mount from the repository itself", { kind: "distribution" as const }],
  ] as const)("cut off is sent again, at %s", async ([, options]) => {
    await using setting = await openCopySetting();
    const { from, to, source } = setting;
    const image = buildImage({ layers: 2 });
    await pushTo(from, "team/app", image, "v1");
    await pushTo(to, "mirror/app", image, "other");
    to.deleteManifest("mirror/app", image.manifest.digest);
    const [, cut] = image.blobs;
    const [digest, bytes] = cut ?? raise();
    to.store.blobs.set(digest, bytes.subarray(0, bytes.length - 10));
    const target = setting.client(to, options).repository("mirror/app");
    const { summary } = await copied(image.manifest.digest, source, target, { tag: "v1" });
    expect(to.store.blobs.get(digest)).toEqual(bytes);
    expect(summary.blobs).toMatchObject({ pushed: 1, present: 2 });
  });

  test.for([
    ["no length", header("content-length", null)],
    ["a length of 0, as some proxies do", header("content-length", "0")],
    ["no HEAD", status(405)],
  ] as const)("is found by its range where HEAD has %s", async ([, fault]) => {
    await using setting = await openCopySetting();
    const { from, to, source, target } = setting;
    const image = buildImage({ layers: 2 });
    await pushTo(from, "team/app", image, "v1");
    await pushTo(to, "mirror/app", image, "other");
    to.deleteManifest("mirror/app", image.manifest.digest);
    const [, cut] = image.blobs;
    const [digest, bytes] = cut ?? raise();
    to.store.blobs.set(digest, bytes.subarray(0, bytes.length - 10));
    to.on({ method: "HEAD", kind: "blob", always: true }, fault);
    const { summary } = await copied(image.manifest.digest, source, target, { tag: "v1" });
    expect(summary.blobs).toMatchObject({ pushed: 1, present: 2 });
    expect(to.store.blobs.get(digest)).toEqual(bytes);
  });
});

test("an empty blob is not present where HEAD is answered with a page", async () => {
  await using setting = await openCopySetting({ to: { verifyReferences: false } });
  const { from, to, source } = setting;
  const empty = Buffer.of();
  const diffId = digestOf(empty);
  const image = buildImage({ layers: [{ bytes: empty, mediaType: OCI_LAYER, diffId }] });
  await pushTo(from, "team/app", image, "v1");
  to.on({ method: "HEAD", kind: "blob", always: true }, html(200));
  // a kind that is asked by HEAD
  const target = setting.client(to, { kind: "quay" }).repository("mirror/app");
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
});

test("a registry that refuses to mount is soon not asked to, and what it has is not sent again", async () => {
  await using setting = await openCopySetting({ from: { mount: "never" } });
  const { from } = setting;
  const image = buildImage({ layers: 12 });
  await pushTo(from, "team/app", image, "v1");
  await pushTo(from, "other/app", image, "v0");
  from.deleteManifest("other/app", image.manifest.digest);
  const client = setting.client(from, { kind: "quay" });
  const { summary } = await copied(
    image.manifest.digest,
    client.repository("team/app"),
    client.repository("other/app"),
    { tag: "v1" },
  );
  expect(summary.blobs).toEqual({ pushed: 0, mounted: 0, present: image.blobs.size });
  // after three refusals no new requests are sent; requests that were already under way are added
  expect(from.ledger.count({ method: "POST", kind: "upload" })).toBeLessThan(8);
});

function raise(): never {
  throw new Error("the test's image is not what the test thinks");
}
