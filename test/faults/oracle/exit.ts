import { during, type Mirror, sourceShown, targetShown, wants } from "../scenario/mirror.ts";
import type { Ended } from "../scenario/product.ts";
import type { World } from "../scenario/world.ts";
import { walk } from "./closure.ts";
import { referrerKind } from "./end.ts";
import { lostReferrers, type Shown } from "./referrers.ts";

/** What `sync -o json` prints, as far as docs/output.md promises it. */
export type Report = {
  readonly mirrors: readonly {
    readonly mirror: string;
    readonly state: "done" | "partial" | "failed";
    readonly failure?: { readonly code: string; readonly message: string };
    readonly outcomes: readonly Outcome[];
  }[];
};

type Outcome = {
  readonly tag: string;
  readonly kind: "copied" | "imported" | "unchanged" | "pruned" | "missing" | "refused" | "failed";
  readonly digest?: string;
  readonly failure?: { readonly code: string; readonly message: string };
};

export type RunFacts = {
  readonly when: string;
  readonly from: number;
  readonly to: number;
  readonly ended: Ended;
  /**
   * The run knows what earlier runs verified. It does not verify an unchanged tag again within `verifyEvery`, and asks
   * for late signatures at growing intervals.
   */
  readonly remembers?: boolean;
};

export function reportOf({ stdout }: Ended): Report | undefined {
  try {
    return JSON.parse(stdout) as Report;
  } catch {
    return undefined;
  }
}

/** Checks that exit code and report of a run are true for one scenario. */
export function checkExit(world: World, { when, from, to, ended, remembers = false }: RunFacts): void {
  const report = reportOf(ended);
  checkCrash(world, when, ended);
  if (report === undefined) return;
  for (const mirror of world.mirrors) {
    const told = report.mirrors.find((entry) => entry.mirror === mirror.name);
    if (told === undefined) {
      world.violate("untruthful report", when, `${mirror.name} is not in the report`);
      continue;
    }
    const truths = { when, from, to, success: ended.code === 0, done: told.state === "done", remembers };
    const shown = readable(mirror);
    if (shown) checkOutcomes(world, mirror, shown, told.outcomes, truths);
    else if (told.state === "done")
      world.violate("false success", when, `${mirror.name}: the target cannot be read`);
  }
  checkFailure(world, when, ended, report);
}

function readable(mirror: Mirror): Shown | undefined {
  try {
    return targetShown(mirror);
  } catch {
    return undefined;
  }
}

type Truths = {
  readonly when: string;
  readonly from: number;
  readonly to: number;
  readonly success: boolean;
  readonly done: boolean;
  readonly remembers: boolean;
};

function checkOutcomes(
  world: World,
  mirror: Mirror,
  shown: Shown,
  outcomes: readonly Outcome[],
  truths: Truths,
): void {
  const { when, from, to, success, done, remembers } = truths;
  for (const { tag, kind, digest } of outcomes) {
    if (kind !== "copied" && kind !== "unchanged") continue;
    if (shown.tags.get(tag) !== digest)
      world.violate(
        "untruthful report",
        when,
        `${mirror.name}:${tag} is told ${kind} ${digest ?? ""}, and is ${shown.tags.get(tag) ?? "absent"}`,
      );
  }
  if (!success && !done) return;
  const hidden = new Set(world.injectors.flatMap((each) => [...each.hidden]));
  for (const tag of new Set(mirror.source.history.map((change) => change.tag))) {
    const { digests, always } = during(mirror, tag, from, to);
    if (!always || !wants(mirror, tag)) continue;
    const outcome = outcomes.find((entry) => entry.tag === tag);
    const believed = hidden.has("tag") && (outcome === undefined || outcome.kind === "missing");
    if (believed) continue;
    const isVerified = !remembers || outcome?.kind !== "unchanged";
    const problem = problemOf(shown, tag, digests, isVerified);
    if (problem !== undefined) {
      world.violate(
        "false success",
        when,
        `${mirror.name}:${tag} (${outcome?.kind ?? "not told"}): ${problem}`,
      );
      continue;
    }
    // tags with wrong answers, or that changed meanwhile, are judged after the run without faults
    if (!isVerified || hidden.size > 0 || mirror.referrersChangedAt >= from || mirror.deletedAt >= from)
      continue;
    const [lost] = lostReferrers(sourceShown(mirror), shown, shown.tags.get(tag) ?? "");
    if (lost === undefined) continue;
    const told = `${mirror.name}:${tag} (${outcome?.kind ?? "not told"}): ${lost}`;
    world.violate(referrerKind(world, mirror, tag), `${when}, which told success`, told);
  }
}

function problemOf(
  shown: Shown,
  tag: string,
  digests: readonly string[],
  isVerified: boolean,
): string | undefined {
  const found = shown.tags.get(tag);
  if (found === undefined) return "it is absent";
  if (!digests.includes(found)) return `it is ${found}, which the source did not have during the run`;
  return isVerified ? walk(shown, found).problems[0] : undefined;
}

function checkFailure(world: World, when: string, ended: Ended, { mirrors }: Report): void {
  const failed = mirrors.some(
    ({ state, outcomes }) =>
      state !== "done" || outcomes.some(({ kind }) => kind === "failed" || kind === "refused"),
  );
  if (failed && ended.code === 0)
    world.violate("false success", when, "exit 0, and the report tells of failures");
  if (!failed && ended.code !== 0)
    world.violate("false failure", when, `exit ${ended.code}, and the report tells of none`);
}

const KNOWN_CODES: readonly (number | null)[] = [0, 1, 2, 4];

/** A process that ended without a documented exit code. */
export function checkCrash(world: World, when: string, { code, stderr, stdout }: Ended): void {
  const stack = /^\s+at .*(?:node:|file:\/\/|\.ts:\d+)/m.test(stderr);
  if (!KNOWN_CODES.includes(code) || stack)
    world.violate("crash", when, `exit ${code}: ${stderr.slice(-1_500)}`);
  else if (code === 0 && stdout === "") world.violate("crash", when, "exit 0 without a report");
}
