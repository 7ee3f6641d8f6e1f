import { globSync, readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

/** Parts of identifiers (`readPlace` has the parts read and place) with the word to use. */
const NAMES: Readonly<Record<string, string>> = {
  allowance: "RateLimit, or pullAllowance for the pulls that are left",
  book: "Records or Tracker",
  books: "Records",
  crew: "BullWorkers",
  demand: "requestCheck",
  endpoint: "RepositoryClient, for one repository",
  hired: "running",
  knowledge: "BlobLocations",
  living: "config-watcher and active-config",
  park: "pauseUntil",
  parked: "pausedUntil",
  shelf: "StateStore or ManifestCache",
  shelves: "StateStore or ManifestCache",
  stilled: "unscheduled",
  tell: "emit or notify",
  told: "reported",
};

/** Whole identifiers with the word to use. */
const IDENTIFIERS: Readonly<Record<string, string>> = {
  comeAgain: "throwIfRetryable",
  generation: "active-config, for the configuration in force",
  Generation: "active-config, for the configuration in force",
  Later: "RetryLater",
  Moved: "CopySummary",
  Place: "Location",
  placeBlob: "pushBlob",
  placeManifest: "pushManifest",
  Quiet: "RateLimited",
  readPlace: "readLocation",
  SyncError: "TagferryError",
  waitForTurn: "throwIfLocked",
};

/** Words that are wrong in comments, messages and documents too. */
const PROSE: readonly (readonly [RegExp, string])[] = [
  [/\bshel(?:f|ves)\b/i, "state store, or cache"],
  [/\bcrew\b/i, "workers"],
  [/\bhired\b/i, "running"],
  [/\b(?:mirror|drift|run|tag|crash)[ -]?books?\b|\bbooks\b/i, "records"],
  [/\bliving config(?:uration)?\b/i, "configuration in force"],
  [/(?<!pull |pulls )\ballowances?\b/i, "rate limit"],
  [/\bpark(?:s|ed|ing)?\b/i, "pause"],
  [/\b(?:blob|target|registry)['’]?s? knowledge\b|\bknowledge of\b/i, "blob locations"],
  [/\bstilled\b/i, "its import is switched off"],
  [/\bsync ?error\b/i, "TagferryError"],
  [/\bferr(?:y|ies|ied)\b/i, "copy, mirror"],
];

/** Places where a word is right, or will be replaced, each with the reason. */
const ALLOWED: readonly {
  readonly file: RegExp;
  readonly word: string;
  readonly reason: string;
}[] = [{ file: /^src\/openshift\//, word: "generation", reason: "a field of Kubernetes objects" }];

type Found = { readonly file: string; readonly word: string; readonly use: string };

const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|[\s;{}(,])\/\/[^\n]*/g;
const STRING = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g;
/** A template without expressions, or an expression without templates: taken away from the inside out. */
const TEMPLATE = /`(?:[^`\\$]|\\.|\$(?!\{))*`|\$\{[^{}`]*\}/g;

function withoutText(source: string): string {
  const code = source.replaceAll(COMMENT, "").replaceAll(STRING, '""');
  for (let before = "", rest = code; ;) {
    before = rest;
    rest = rest.replaceAll(TEMPLATE, '""');
    if (rest === before) return rest;
  }
}

function wrongNames(file: string, source: string): Found[] {
  const identifiers = new Set([...withoutText(source).matchAll(/[A-Za-z_$][\w$]*/g)].map(([name]) => name));
  return [...identifiers].flatMap((name): Found[] => {
    if (Object.hasOwn(IDENTIFIERS, name)) return [{ file, word: name, use: IDENTIFIERS[name] ?? "" }];
    if (name.startsWith("pullAllowance")) return [];
    const parts = name.split(/(?<=[a-z\d])(?=[A-Z])|_/).map((part) => part.toLowerCase());
    return parts.flatMap((part) =>
      Object.hasOwn(NAMES, part) ? [{ file, word: name, use: NAMES[part] ?? "" }] : [],
    );
  });
}

function wrongProse(file: string, text: string): Found[] {
  return PROSE.flatMap(([pattern, use]) => {
    const word = pattern.exec(text)?.[0];
    return word === undefined ? [] : [{ file, word, use }];
  });
}

function refused(found: readonly Found[]): string[] {
  return found
    .filter(({ file, word }) => !ALLOWED.some((allowed) => allowed.file.test(file) && allowed.word === word))
    .map(({ file, word, use }) => `${file}: "${word}"; use ${use}`);
}

const SOURCES = globSync("src/**/*.ts").map((file) => file.replaceAll("\\", "/"));
const PAGES = [
  ...globSync("{docs,helm}/**/*.{md,yaml,tpl,txt}"),
  ...globSync("*.md").filter((file) => file !== "CHANGELOG.md"),
  ...globSync("src/web/assets/*.js"),
].map((file) => file.replaceAll("\\", "/"));

test.for(SOURCES)("%s uses the words of the field for its names", (file) => {
  expect(refused(wrongNames(file, readFileSync(file, "utf8")))).toEqual([]);
});

test.for([...SOURCES, ...PAGES])("%s has no word of the old vocabulary in its text", (file) => {
  expect(refused(wrongProse(file, readFileSync(file, "utf8")))).toEqual([]);
});

describe("the list of words", () => {
  test.for([
    "const shelf = 1;",
    "function comeAgain() {}",
    "type MirrorBook = {};",
    "const { endpoint } = x;",
    "class SyncError {}",
    "const toldMs = 1;",
    "RATE_ALLOWANCE;",
  ])("refuses the name in %s", (code) => {
    expect(wrongNames("src/a.ts", code)).toHaveLength(1);
  });

  test.for([
    "const pullAllowance = 1;",
    "class RetryLater {}",
    'throw new Error("the endpoint");',
    "// what is told\nconst a = 1;",
    "const bookmark = storytelling;",
  ])("allows %s", (code) => {
    expect(wrongNames("src/a.ts", code)).toEqual([]);
  });

  test.for([
    "It stands on a shelf.",
    "the crew of a daemon",
    "the allowance of a registry",
    "A parked registry.",
  ])("refuses the text: %s", (text) => {
    expect(wrongProse("docs/a.md", text)).toHaveLength(1);
  });

  test.for(["the pull allowance of Docker Hub", "bookkeeping", "Tagferry", "a bookmark of the watch"])(
    "allows the text: %s",
    (text) => {
      expect(wrongProse("docs/a.md", text)).toEqual([]);
    },
  );
});
