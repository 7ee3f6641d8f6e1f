import { expect, test } from "vitest";

import { temporaryDirectory } from "../support/temporary.ts";
import { fallbackTag } from "./content/content.ts";
import { artifact, cosignSignature, image, layerPool } from "./content/images.ts";
import { readLayout } from "./layout/read.ts";
import { writeLayout } from "./layout/write.ts";
import { walk } from "./oracle/closure.ts";
import { checkEnd } from "./oracle/end.ts";
import { checkExit } from "./oracle/exit.ts";
import { orderProblems } from "./oracle/order.ts";
import { fallbackReferrers, lostReferrers, type Shown } from "./oracle/referrers.ts";
import { randomOf } from "./random.ts";
import { addFallbackReferrer, type Repository, repository, type TagChange } from "./registry/repository.ts";
import { FORMS } from "./run.ts";
import { targetShown, wantedTags } from "./scenario/mirror.ts";
import { openWorld, type World } from "./scenario/world.ts";

/** Tests of the oracles: each promise is broken on purpose, and the oracle must report it. */

const random = randomOf("oracles");
const pool = layerPool(random, false);

function filled(): { readonly repo: Repository; readonly top: string } {
  const repo = repository(() => 0);
  const content = image(random, pool);
  repo.add(content);
  repo.setTag("v1", content.top.digest);
  return { repo, top: content.top.digest };
}

function shown(repo: Repository, api = true): Shown {
  return {
    manifest: repo.manifest,
    blob: repo.blob,
    tags: repo.tags,
    referrers: (digest) =>
      api ? repo.referrers(digest).map((entry) => entry.digest) : fallbackReferrers(repo, repo.tags, digest),
  };
}

test("a whole image has no problems", () => {
  const { repo, top } = filled();
  expect(walk(repo, top).problems).toEqual([]);
});

test.each([
  ["absent", (_bytes: Buffer) => undefined, /^absent: blob/],
  ["short", (bytes: Buffer) => bytes.subarray(1), /^wrong length \d+ of \d+: blob/],
  [
    "altered",
    (bytes: Buffer) => Buffer.concat([Buffer.from([(bytes[0] ?? 0) ^ 1]), bytes.subarray(1)]),
    /^wrong: blob/,
  ],
])("a blob that is %s is a problem", (_how, alter, problem) => {
  const { repo, top } = filled();
  const [digest = ""] = [...walk(repo, top).blobs].filter((each) => (repo.blob(each)?.length ?? 0) > 1);
  const altered = alter(repo.blob(digest) ?? Buffer.alloc(0));
  if (altered === undefined) repo.blobs.delete(digest);
  else repo.blobs.set(digest, altered);
  expect(walk(repo, top).problems).toEqual([expect.stringMatching(problem)]);
});

const at = (time: number, digest: string): TagChange => ({ at: time, tag: "t", digest });

test("a tag that names an older image than before went back; what the source itself took back did not", () => {
  const source = [at(0, "a"), at(10, "b"), at(20, "c"), at(30, "b")];
  expect(orderProblems("t", source, [at(5, "a"), at(15, "b"), at(25, "c"), at(35, "b")])).toEqual([]);
  expect(orderProblems("t", source, [at(25, "c"), at(26, "a")])).toEqual(["t went back to a at 26 ms"]);
  expect(orderProblems("t", source, [at(5, "b")])).toEqual(["t named b at 5 ms, before its source did"]);
  expect(orderProblems("t", source, [at(5, "x")])).toEqual(["t names what its source never had: x at 5 ms"]);
});

test("a referrer that the target does not show is lost, by API and by fallback tag, and so is a cosign tag", () => {
  const { repo, top } = filled();
  const target = filled().repo;
  target.add({
    top: { mediaType: "", digest: top, size: 0 },
    manifests: [...repo.manifests].map(([digest, manifest]) => ({ digest, manifest })),
    blobs: [],
  });
  for (const [digest, bytes] of repo.blobs) target.blobs.set(digest, bytes);
  const subject = { mediaType: repo.manifest(top)?.mediaType ?? "", digest: top, size: 1 };
  const sbom = artifact(random, subject);
  addFallbackReferrer(repo, top, sbom);
  const signature = cosignSignature(random, top);
  repo.add(signature);
  repo.setTag(`${fallbackTag(top)}.sig`, signature.top.digest);

  expect(lostReferrers(shown(repo), shown(target), top)).toHaveLength(2);
  expect(lostReferrers(shown(repo, false), shown(target, false), top)).toHaveLength(2);

  target.add(sbom);
  target.add(signature);
  target.setTag(`${fallbackTag(top)}.sig`, signature.top.digest);
  expect(lostReferrers(shown(repo), shown(target), top)).toEqual([]);
  // stored but not findable: the target has no referrers API, and no index lists it
  expect(lostReferrers(shown(repo, false), shown(target, false), top)).toHaveLength(1);
  addFallbackReferrer(target, top, sbom);
  expect(lostReferrers(shown(repo, false), shown(target, false), top)).toEqual([]);
});

test("a layout that is written reads the same", async () => {
  await using directory = await temporaryDirectory();
  const { repo, top } = filled();
  repo.add(artifact(random, { mediaType: repo.manifest(top)?.mediaType ?? "", digest: top, size: 1 }));
  writeLayout(directory.path, repo);
  const view = readLayout(directory.path);
  expect(view.tags).toEqual(repo.tags);
  expect(walk(view, top).problems).toEqual([]);
  expect(view.referrers(top)).toEqual(repo.referrers(top).map(({ digest }) => digest));
});

const CALM = { ...FORMS.short, calm: true };

async function worldOf(seed: string, number: number, directory: string): Promise<World> {
  return openWorld(seed, number, { directory, form: CALM });
}

const told = (world: World): unknown => ({
  way: world.way,
  rules: world.injectors.map((each) =>
    each.rules.map(({ fault, routes, pattern }) => ({ fault: fault.name, routes, pattern })),
  ),
  tags: world.mirrors.map(({ name, rule, source }) => ({ name, rule, tags: [...source.tags] })),
});

test("the same seed makes the same scenario", async () => {
  await using directory = await temporaryDirectory();
  await using one = await openWorld("same", 3, { directory: directory.join("a"), form: FORMS.long });
  await using two = await openWorld("same", 3, { directory: directory.join("b"), form: FORMS.long });
  expect(told(one)).toEqual(told(two));
});

test("before anything is mirrored, every wanted tag that is not there is behind the source", async () => {
  await using directory = await temporaryDirectory();
  await using world = await worldOf("behind", 1, directory.path);
  checkEnd(world, { when: "at the end", referrers: true });
  const behind = world.mirrors.flatMap((mirror) =>
    wantedTags(mirror).filter((tag) => targetShown(mirror).tags.get(tag) !== mirror.source.tags.get(tag)),
  );
  expect(world.violations.filter(({ kind }) => kind === "behind the source")).toHaveLength(behind.length);
});

test("an image stream is walked like a registry", async () => {
  await using directory = await temporaryDirectory();
  await using world = await openWorld("streams", 3, { directory: directory.path, form: CALM, stream: true });
  expect(world.way).toBe("registry to stream");
  checkEnd(world, { when: "at the end", referrers: true });
  const wanted = world.mirrors.flatMap(wantedTags);
  expect(world.violations.filter(({ kind }) => kind === "behind the source")).toHaveLength(wanted.length);
});

test.each([
  ["with its memory lost", false, ["false success"]],
  ["that remembers what it verified", true, []],
])("an unchanged tag that lacks a blob is a violation in a run %s", async (_what, remembers, kinds) => {
  await using directory = await temporaryDirectory();
  await using world = await worldOf("remembers", 2, directory.path);
  const [mirror] = world.mirrors;
  const [tag = ""] = mirror === undefined ? [] : wantedTags(mirror);
  if (mirror?.targetEnd.kind !== "registry") throw new Error("the target of this seed is no registry");
  const held = mirror.targetEnd.registry.repository(mirror.targetEnd.name);
  const digest = mirror.source.tags.get(tag) ?? "";
  held.setTag(tag, digest);
  held.manifests.set(digest, mirror.source.manifest(digest) ?? { mediaType: "", bytes: Buffer.of() });
  const outcomes = [{ tag, kind: "unchanged", digest }];
  const mirrors = world.mirrors.map(({ name }) => ({
    mirror: name,
    state: "failed",
    outcomes: [] as unknown[],
  }));
  mirrors[0] = { mirror: mirror.name, state: "done", outcomes };
  const ended = { code: 1, stdout: JSON.stringify({ mirrors }), stderr: "", end: "exit" } as const;
  const now = world.ledger.now();
  checkExit(world, { when: "in a run", from: now, to: now, ended, remembers });
  const found = world.violations.filter(({ what }) => what.startsWith(`${mirror.name}:${tag} (unchanged)`));
  expect(found.map(({ kind }) => kind)).toEqual(kinds);
});

test.each([
  ["exit 0 while wanted tags are absent", 0, "done", "false success"],
  ["exit 1 while the report tells of no failure", 1, "done", "false failure"],
  ["exit 0 while the report tells of a failure", 0, "failed", "false success"],
  ["an exit code that is not documented", 70, "failed", "crash"],
])("%s is untruthful", async (_what, code, state, kind) => {
  await using directory = await temporaryDirectory();
  await using world = await worldOf("exit", 2, directory.path);
  const mirrors = world.mirrors.map(({ name }) => ({ mirror: name, state, outcomes: [] }));
  checkExit(world, {
    when: "in a run",
    from: world.ledger.now(),
    to: world.ledger.now(),
    ended: { code, stdout: JSON.stringify({ mirrors }), stderr: "", end: "exit" },
  });
  expect(world.violations.map((violation) => violation.kind)).toContain(kind);
});
