import { DIGEST_TAG } from "../content/content.ts";
import { type Mirror, sourceShown, targetShown, wantedTags, wants } from "../scenario/mirror.ts";
import type { World } from "../scenario/world.ts";
import { walk } from "./closure.ts";
import { orderProblems } from "./order.ts";
import { lostReferrers, type Shown } from "./referrers.ts";

export type EndOptions = { readonly when: string; readonly referrers: boolean };

/** Checks the final state byte by byte, and reports every broken promise. */
export function checkEnd(world: World, { when, referrers }: EndOptions): void {
  for (const mirror of world.mirrors) {
    const shown = shownOrBroken(world, mirror, when);
    if (shown) checkMirror(world, mirror, shown, { when, referrers });
    checkOrder(world, mirror, when);
  }
  checkWrites(world, when);
}

function shownOrBroken(world: World, mirror: Mirror, when: string): Shown | undefined {
  try {
    return targetShown(mirror);
  } catch (error) {
    world.violate("wrong bytes", when, `${mirror.name}: the target cannot be read: ${String(error)}`);
    return undefined;
  }
}

function checkMirror(world: World, mirror: Mirror, shown: Shown, { when, referrers }: EndOptions): void {
  const source = sourceShown(mirror);
  for (const tag of wantedTags(mirror)) {
    const want = source.tags.get(tag) ?? "";
    const found = shown.tags.get(tag);
    if (found !== want) {
      world.violate(
        "behind the source",
        when,
        `${mirror.name}:${tag} is ${found ?? "absent"}, the source says ${want}`,
      );
      continue;
    }
    for (const problem of walk(shown, want).problems)
      world.violate(
        problem.startsWith("wrong") ? "wrong bytes" : "incomplete tag",
        when,
        `${mirror.name}:${tag}: ${problem}`,
      );
    if (!referrers) continue;
    for (const lost of lostReferrers(source, shown, want))
      world.violate(referrerKind(world, mirror, tag), when, `${mirror.name}:${tag}: ${lost}`);
  }
  const unwanted = [...shown.tags.keys()].filter((tag) => !DIGEST_TAG.test(tag) && !wants(mirror, tag));
  // content that the harness put there before the first run need not be removed
  const written = unwanted.filter((tag) =>
    mirror.targetHistory.some((change) => change.tag === tag && change.at > world.begunAt),
  );
  if (written.length > 0)
    world.violate("wrote what nobody asked for", when, `${mirror.name}: tags ${written.join(", ")}`);
}

/** The promise that a missing referrer breaks: of the copy that published its image, or of later runs. */
export function referrerKind(
  { runs }: World,
  mirror: Mirror,
  tag: string,
): "lost referrer" | "late referrer" {
  const published = mirror.targetHistory.filter((change) => change.tag === tag).at(-1)?.at ?? 0;
  const run = runs.filter((at) => at <= published).at(-1);
  if (run === undefined) return "late referrer";
  // a long run, such as a daemon's, reads the referrers again before it publishes an image
  const read = Math.max(run, published - READ_MS);
  return mirror.referrersChangedAt >= read ? "late referrer" : "lost referrer";
}

const READ_MS = 3_000;

/** No tag of the target ever went back, or named what its source did not have. */
export function checkOrder(world: World, mirror: Mirror, when: string): void {
  for (const tag of wantedTags(mirror))
    for (const problem of orderProblems(tag, mirror.source.history, mirror.targetHistory))
      world.violate("went back", when, `${mirror.name}:${problem}`);
}

function checkWrites(world: World, when: string): void {
  for (const { side, repositories, wrongUploads } of world.registries) {
    for (const { digest, length } of side === "target" ? wrongUploads : [])
      world.violate("wrong bytes", when, `an upload of ${length} bytes was closed as ${digest}, and is not`);
    for (const [name, { deletions }] of repositories)
      for (const deletion of deletions) world.violate("deleted", when, `${name}: ${deletion}`);
  }
  const atSource = world.ledger.entries.find(
    ({ who, what }) => who === "source" && !/^(?:GET|HEAD) /.test(what),
  );
  if (atSource) world.violate("wrote what nobody asked for", when, `at the source: ${atSource.what}`);
}

/** Whether every wanted tag of these mirrors is in place, whole. */
export function inPlace(mirrors: readonly Mirror[]): boolean {
  return mirrors.every((mirror) => {
    try {
      const shown = targetShown(mirror);
      return wantedTags(mirror).every((tag) => {
        const digest = mirror.source.tags.get(tag) ?? "";
        return shown.tags.get(tag) === digest && walk(shown, digest).problems.length === 0;
      });
    } catch {
      return false;
    }
  });
}
