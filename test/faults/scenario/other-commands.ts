import { existsSync, statSync } from "node:fs";
import { join } from "node:path";

import { walk } from "../oracle/closure.ts";
import { referrerKind } from "../oracle/end.ts";
import { checkCrash } from "../oracle/exit.ts";
import { lostReferrers } from "../oracle/referrers.ts";
import type { Batch } from "./batch.ts";
import { DEADLINES } from "./deadlines.ts";
import { during, type Mirror, reference, sourceShown, targetShown, wantedTags } from "./mirror.ts";
import { type Ended, startCommand } from "./product.ts";
import type { World } from "./world.ts";

const WRITE = /^(?:PUT|POST|PATCH|DELETE) \/v2\//;
/** OpenShift's registry is asked for a blob by a mount from the repository itself, which changes nothing. */
const QUESTION = /^POST \/v2\/(faults\/[^/]+)\/blobs\/uploads\/\?mount=[^&]*&from=([^&]*)$/;

function isQuestion(what: string): boolean {
  const [, repository, from] = QUESTION.exec(what) ?? [];
  return repository !== undefined && decodeURIComponent(from ?? "") === repository;
}

/** The writing requests of a world since a mark. */
export function writesSince({ ledger }: World, mark: number): string[] {
  return ledger.entries
    .slice(mark)
    .filter(({ who, what }) => who !== "harness" && WRITE.test(what) && !isQuestion(what))
    .map(({ what }) => what);
}

/** `plan` during faults: it may fail, and it writes nothing. */
export async function planRun({ worlds, file }: Batch): Promise<void> {
  const when = "in a plan";
  const marks = new Map(
    worlds.map((world) => [world, { at: world.ledger.entries.length, stamps: stampsOf(world) }]),
  );
  const { ended: ending } = startCommand(
    ["plan", "-c", file, "-o", "json", "--no-progress"],
    DEADLINES.slowRun,
  );
  const ended = await ending;
  for (const world of worlds) {
    const mark = marks.get(world);
    if (ended.end === "late") world.violate("hang", when, ended.stderr.slice(-600));
    else checkCrash(world, when, ended);
    const writes = writesSince(world, mark?.at ?? 0);
    if (writes.length > 0) world.violate("wrote what nobody asked for", when, writes.slice(0, 3).join("; "));
    if (stampsOf(world) !== mark?.stamps)
      world.violate("wrote what nobody asked for", when, "a layout changed");
  }
}

/** When the index of each target layout was written. */
function stampsOf({ mirrors }: World): string {
  return mirrors
    .map(({ targetEnd }) => (targetEnd.kind === "layout" ? join(targetEnd.directory, "index.json") : ""))
    .map((path) => (existsSync(path) ? String(statSync(path).mtimeMs) : "-"))
    .join(" ");
}

/** `copy` of one wanted tag during faults: exit code 0 means that the image and all its referrers are there. */
export async function copyRun({ file }: Batch, world: World): Promise<void> {
  const { random, mirrors, ledger } = world;
  const mirror = random.pick(mirrors);
  // an image stream is written by mirrors only
  if (mirror.targetEnd.kind === "stream") return;
  const tags = wantedTags(mirror);
  if (tags.length === 0) return;
  const tag = random.pick(tags);
  const from = ledger.now();
  world.runs.push(from);
  ledger.note("harness", `copy of ${mirror.name}:${tag} begins`);
  const ends = [`${reference(mirror.sourceEnd)}:${tag}`, `${reference(mirror.targetEnd)}:${tag}`];
  const ended = await startCommand(
    ["copy", ...ends, "-c", file, "-o", "json", "--no-progress"],
    DEADLINES.slowRun,
  ).ended;
  ledger.note("harness", `copy: ${ended.end} with ${ended.code}`);
  if (ended.end === "late") world.violate("hang", "in a copy", ended.stderr.slice(-600));
  else {
    checkCrash(world, "in a copy", ended);
    if (ended.code === 0) checkCopied(world, mirror, tag, from, ended);
  }
}

function checkCopied(world: World, mirror: Mirror, tag: string, from: number, { stdout }: Ended): void {
  const violate = (what: string): void =>
    world.violate("false success", "in a copy", `${mirror.name}:${tag}: ${what}`);
  try {
    const shown = targetShown(mirror);
    const found = shown.tags.get(tag) ?? "absent";
    const { digest } = JSON.parse(stdout) as { digest?: string };
    if (found !== digest) violate(`told ${digest ?? ""}, and is ${found}`);
    const { digests, always } = during(mirror, tag, from, world.ledger.now());
    if (always && !digests.includes(found)) violate(`it is ${found}, which the source did not have`);
    for (const problem of walk(shown, found).problems) violate(problem);
    const lied = world.injectors.some(({ hidden }) => hidden.size > 0);
    if (lied || mirror.referrersChangedAt >= from || mirror.deletedAt >= from) return;
    for (const lost of lostReferrers(sourceShown(mirror), shown, found))
      world.violate(
        referrerKind(world, mirror, tag),
        "in a copy, which told success",
        `${mirror.name}:${tag}: ${lost}`,
      );
  } catch (error) {
    violate(String(error));
  }
}
