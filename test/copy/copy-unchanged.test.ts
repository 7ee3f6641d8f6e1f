import { describe, expect, test } from "vitest";

import { openCopySetting } from "../support/copy-setting.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import {
  buildArtifact,
  buildImage,
  buildIndex,
  buildSbom,
  pushTo,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";
import { html, replaceBody, shortBody, status } from "../support/registry/faults.ts";

const plain = buildIndex({ layers: 2 });
const image = signCosign(withReferrers(plain, buildSbom(plain)));
const { digest } = plain.manifest;

describe("a second copy of an unchanged image", () => {
  test.for([
    ["with a referrers API", {}],
    ["without a referrers API", { referrersApi: false }],
    ["that takes sparse indexes", { sparseIndex: true }],
  ] as const)("writes nothing to a registry %s", async ([, behaviour]) => {
    await using setting = await openCopySetting({ from: behaviour, to: behaviour });
    const { from, to, source, target } = setting;
    await pushTo(from, "team/app", image, "v1", { fallbackTags: "referrersApi" in behaviour });
    await copied(digest, source, target, { tag: "v1", referrers: true });
    to.ledger.clear();
    const again = setting.client(to).repository("mirror/app");
    const { summary } = await copied(digest, source, again, { tag: "v1", referrers: true });
    expect(summary).toMatchObject({ bytes: 0, manifests: 0, referrers: 2 });
    expect(["PUT", "PATCH"].map((method) => to.ledger.count({ method }))).toEqual([0, 0]);
    // the presence of a blob is asked with a POST that mounts it from its own repository
    expect(to.ledger.find({ method: "POST" }).every((entry) => entry.status === 201)).toBe(true);
  });

  test("writes nothing of an artifact either, although others may share its parts", async () => {
    await using setting = await openCopySetting();
    const { from, to, source, target } = setting;
    const artifact = buildArtifact({ files: filesOf(1) });
    const signed = signCosign(artifact);
    await pushTo(from, "team/app", signed, "v1");
    const options = { tag: "v1", referrers: true };
    await copied(artifact.manifest.digest, source, target, options);
    to.ledger.clear();
    const again = setting.client(to).repository("mirror/app");
    await copied(artifact.manifest.digest, source, again, options);
    expect(to.ledger.find({ method: "PUT" })).toEqual([]);
  });

  test("writes the tag when it shows something else, and nothing besides", async () => {
    await using setting = await openCopySetting();
    const { from, to, source, target } = setting;
    await pushTo(from, "team/app", image, "v1");
    await copied(digest, source, target, { tag: "v1", referrers: true });
    await pushTo(to, "mirror/app", buildImage({ seed: "other" }), "v1");
    to.ledger.clear();
    await copied(digest, source, target, { tag: "v1", referrers: true });
    expect(to.ledger.find({ method: "PUT" }).map(({ reference }) => reference)).toEqual(["v1"]);
  });

  test("writes a referrer that the target lost", async () => {
    await using setting = await openCopySetting();
    const { from, to, source, target } = setting;
    await pushTo(from, "team/app", image, "v1");
    await copied(digest, source, target, { tag: "v1", referrers: true });
    const lost = image.referrers[0]?.image.manifest.digest ?? raise();
    to.deleteManifest("mirror/app", lost);
    to.ledger.clear();
    await copied(digest, source, target, { tag: "v1", referrers: true });
    const written = to.ledger.find({ method: "PUT", kind: "manifest" });
    expect(written.map(({ reference }) => reference)).toEqual([lost]);
  });
});

test("the referrers of one subject are written one after another", async () => {
  await using setting = await openCopySetting();
  const { from, to, source, target } = setting;
  const subject = buildImage({ layers: 1 });
  const artifacts = [1, 2, 3, 4].map((seed) => buildArtifact({ files: filesOf(seed), subject }));
  const signed = withReferrers(subject, ...artifacts);
  await pushTo(from, "team/app", signed, "v1");
  const referrers = new Set<string | undefined>(signed.referrers.map((one) => one.image.manifest.digest));
  let writing = 0;
  let most = 0;
  to.on({ method: "PUT", kind: "manifest", always: true }, async (request, respond) => {
    const isReferrer = referrers.has(request.reference);
    if (isReferrer) writing += 1;
    most = Math.max(most, writing);
    await new Promise((resolve) => setImmediate(resolve));
    const answer = await respond();
    if (isReferrer) writing -= 1;
    return answer;
  });
  const { summary } = await copied(subject.manifest.digest, source, target, { tag: "v1", referrers: true });
  expect(summary.referrers).toBe(4);
  expect(most).toBe(1);
});

describe("a question about referrers", () => {
  const QUESTION = { kind: "referrers", method: "GET" } as const;
  const BAD = [
    ["a page", html(200)],
    ["400", status(400)],
    ["405", status(405)],
    ["garbage", replaceBody("{]")],
    ["half an index", shortBody(40, { framing: "chunked" })],
    ["404 once", status(404)],
  ] as const;

  test.for(BAD)("answered by %s is asked again, and nothing is lost", async ([, fault]) => {
    await using setting = await openCopySetting();
    const { from, source, target } = setting;
    await pushTo(from, "team/app", image, "v1");
    from.on(QUESTION, fault);
    const { summary } = await copied(digest, source, target, { tag: "v1", referrers: true });
    expect(summary.referrers).toBe(2);
  });

  test.for(BAD.slice(0, -1))(
    "answered by %s every time fails the copy, and no tag is written",
    async ([, fault]) => {
      await using setting = await openCopySetting();
      const { from, to, source, target } = setting;
      await pushTo(from, "team/app", image, "v1");
      from.on({ ...QUESTION, always: true }, fault);
      const copying = copied(digest, source, target, { tag: "v1", referrers: true });
      expect((await failureOfCopy(copying)).code).toBe("REFERRERS_INVALID");
      expect(to.digestOf("mirror/app", "v1")).toBeUndefined();
    },
  );

  test("answered by nothing is followed by the fallback tag, as Harbor's pull-through projects need it", async () => {
    await using setting = await openCopySetting({ from: { referrersApi: false } });
    const { from, source, target } = setting;
    await pushTo(from, "team/app", image, "v1", { fallbackTags: true });
    from.on({ ...QUESTION, always: true }, () => ({
      status: 200,
      headers: { "content-type": "application/vnd.oci.image.index.v1+json" },
      body: Buffer.from(
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
      ),
    }));
    const { summary } = await copied(digest, source, target, { tag: "v1", referrers: true });
    expect(summary.referrers).toBe(2);
  });
});

function filesOf(seed: number): { readonly mediaType: string; readonly bytes: Uint8Array }[] {
  return [{ mediaType: "text/plain", bytes: Buffer.from(`file ${seed}`) }];
}

function raise(): never {
  throw new Error("the test's image is not what the test thinks");
}
