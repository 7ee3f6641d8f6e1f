import { TagferryError } from "../errors/error.ts";

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md (platform) */
export type Platform = { readonly os: string; readonly architecture: string; readonly variant?: string };

/** The values of Go. The OCI specification uses the same names. */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  linux: [
    "386",
    "amd64",
    "arm",
    "arm64",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mipsle",
    "ppc64",
    "ppc64le",
    "riscv64",
    "s390x",
  ],
  windows: ["386", "amd64", "arm", "arm64"],
  darwin: ["amd64", "arm64"],
  freebsd: ["386", "amd64", "arm", "arm64"],
  wasip1: ["wasm"],
};

/**
 * Reads `os/architecture[/variant]`.
 *
 * @throws {TagferryError} CONFIG_PLATFORM
 */
export function parsePlatform(text: string): Platform {
  const [os = "", architecture = "", variant, ...rest] = text.split("/");
  const known = Object.hasOwn(ARCHITECTURES, os) && ARCHITECTURES[os]?.includes(architecture) === true;
  if (!known || rest.length > 0 || variant === "" || (variant !== undefined && !/^v\d+$/.test(variant)))
    throw new TagferryError("CONFIG_PLATFORM", `"${text}" is not a platform`, {
      found: text,
      allowed: Object.entries(ARCHITECTURES)
        .flatMap(([system, architectures]) => architectures.map((one) => `${system}/${one}`))
        .join(", "),
      ...nextFor(text),
    });
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** Names of the kernel and of other tools. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  x64: "amd64",
  aarch64: "arm64",
  i386: "386",
  i686: "386",
  armv7l: "arm/v7",
  armv7: "arm/v7",
  ppc64el: "ppc64le",
};

/** What was probably meant by a name that is no platform. */
function nextFor(text: string): { readonly next?: string } {
  const [first = "", second] = text.toLowerCase().split("/");
  const [os, architecture] = second === undefined ? ["linux", first] : [first, second];
  const right = OTHER_NAMES[architecture] ?? architecture;
  const known = Object.hasOwn(ARCHITECTURES, os) && ARCHITECTURES[os]?.includes(right.split("/")[0] ?? "");
  return known ? { next: `Write ${os}/${right}.` } : {};
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined).join("/");
}

/** Whether `platform` is a wanted one. Without a variant, every variant matches. arm64 means arm64/v8. */
export function matchesPlatform(wanted: Platform, platform: Platform): boolean {
  if (wanted.os !== platform.os || wanted.architecture !== platform.architecture) return false;
  const variant = ({ architecture, variant: given }: Platform): string | undefined =>
    given ?? (architecture === "arm64" ? "v8" : undefined);
  return wanted.variant === undefined || variant(wanted) === variant(platform);
}
