import semver from "semver";

/** A tag read as a version: `1.27-alpine` is 1.27.0, variant `alpine`; `2.0.0-rc.1` has the prerelease `rc.1`. */
export type Version = {
  /** Up to four numbers. Leading zeros are allowed: `2024.01.05`. */
  readonly numbers: readonly number[];
  /** `rc1`, `beta.2`: older than the release with the same numbers. */
  readonly prerelease?: string;
  /**
   * The rest after the numbers and the prerelease: `alpine3.19`, `slim-bookworm`. Only versions of the same variant are
   * compared.
   */
  readonly variant: string;
};

const VERSION =
  /^v?(\d{1,15}(?:\.\d{1,15}){0,3})(?:[-_+](.+)|((?:a|b|c|rc|alpha|beta)\d{1,9}(?:[-_].+)?))?$/i;
/** Java 8 numbers its updates: `8u392` is 8.0.392. */
const JAVA_UPDATE = /^(\d{1,3})u(\d{1,9})(?=$|[-_])/i;
const PRERELEASE =
  /^(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|canary|ea|cr|m(?=\d))\d*(?:[.\-_]\d+)*(?=[.\-_]|$)/i;

/** Prereleases in Python's style: `3.14.0rc2`, `3.14.0b1`. */
const GLUED_PRERELEASE = /^[a-z]+\d+/i;

/** Reads a tag as a version; undefined when it is not a version (`latest`, `main`, a commit). */
export function parseVersion(tag: string): Version | undefined {
  const [, digits, separated, glued] = VERSION.exec(tag.replace(JAVA_UPDATE, "$1.0.$2")) ?? [];
  if (digits === undefined) return undefined;
  const suffix = separated ?? glued ?? "";
  // 1.2-rc1-alpine: the prerelease is before the variant. 1.2b1 is a prerelease, 8u392-b08 is a build.
  const prerelease = (glued === undefined ? PRERELEASE : GLUED_PRERELEASE).exec(suffix)?.[0];
  const variant = (prerelease === undefined ? suffix : suffix.slice(prerelease.length)).replace(
    /^[.\-_+]/,
    "",
  );
  return {
    numbers: digits.split(".").map(Number),
    ...(prerelease === undefined ? {} : { prerelease: prerelease.toLowerCase() }),
    variant,
  };
}

/**
 * Whether a version is in a range. A partial version (`1.27`) counts as 1.27.0. Prereleases match only if the range
 * names one.
 */
export function inRange(version: Version, range: semver.Range): boolean {
  const [major = 0, minor = 0, patch = 0] = version.numbers;
  const text = `${major}.${minor}.${patch}${version.prerelease === undefined ? "" : `-${dotted(version.prerelease)}`}`;
  const parsed = semver.parse(text);
  return parsed !== null && range.test(parsed);
}

/** Sorts newer versions first: negative when `one` is newer. */
export function compareVersions(one: Version, other: Version): number {
  for (let place = 0; place < 4; place += 1) {
    const difference = (other.numbers[place] ?? 0) - (one.numbers[place] ?? 0);
    if (difference !== 0) return difference;
  }
  if (one.prerelease === undefined || other.prerelease === undefined) {
    if (one.prerelease !== other.prerelease) return one.prerelease === undefined ? -1 : 1;
  } else {
    const difference = semver.rcompare(
      `0.0.0-${dotted(one.prerelease)}`,
      `0.0.0-${dotted(other.prerelease)}`,
    );
    if (difference !== 0) return difference;
  }
  // 1.27.0 is more precise than 1.27, which moves
  return other.numbers.length - one.numbers.length;
}

/** Converts `rc10` to semver's form `rc.10`, without leading zeros. */
function dotted(prerelease: string): string {
  return prerelease
    .split(/[.\-_]|(?<=[a-z])(?=\d)/)
    .filter((part) => part !== "")
    .map((part) => (/^\d+$/.test(part) ? String(Number(part)) : part))
    .join(".");
}
