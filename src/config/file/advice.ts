import { closest } from "./closest.ts";
import type { Path, YamlFile } from "./yaml.ts";

/** What to do next about keys and types that the schema refuses. */

/** Keys of other tools, and the key that does the same here. */
const SAME_HERE: Readonly<Record<string, string>> = {
  arch: "platforms",
  architectures: "platforms",
  cron: "schedule",
  destination: "target",
  from: "source",
  image: "source",
  interval: "schedule",
  repository: "source",
  tls: "insecure",
  to: "target",
  upstream: "source",
};

export function adviceOnKey(key: string, path: Path, keysAt: (path: Path) => readonly string[]): string {
  const known = keysAt(path);
  const same = SAME_HERE[key.toLowerCase()];
  if (same !== undefined && known.includes(same)) return `Write \`${same}\`, which is the key for this.`;
  const near = closest(key, known);
  if (near !== undefined) return `Did you mean "${near}"?`;
  const isShared = keysAt(["defaults"]).includes(key);
  if (isShared && path.length === 0)
    return `Write \`${key}\` in a mirror, or under \`defaults\` for all mirrors.`;
  if (keysAt(["mirrors", 0]).includes(key) && ["", "defaults"].includes(path.join(".")))
    return `Write \`${key}\` in each mirror.`;
  if (keysAt(["daemon"]).includes(key) && path[0] !== "daemon") return `Write \`${key}\` under \`daemon\`.`;
  return "Remove it, or use a key that is allowed; docs/config.md describes all keys.";
}

const DURATION_KEYS = new Set([
  "connect",
  "deadline",
  "firstByte",
  "grace",
  "idle",
  "jitter",
  "retries",
  "since",
  "verifyEvery",
]);

/** `allowed` has the words of the message: text, a list, a map, a number, true or false. */
export function adviceOnType(
  found: unknown,
  path: Path,
  allowed: readonly string[],
  yaml: YamlFile,
  keys: readonly string[],
): string | undefined {
  if (found === null) return "Write a value, or remove the key.";
  if (path.length === 0)
    return "Write a map with the keys `version` and `mirrors`; `tagferry init` writes a first file.";
  if (allowed.includes("true or false") && typeof found !== "object") return "Write true or false.";
  if (allowed.includes("text")) {
    const advice = adviceOnText(found, path, yaml);
    if (advice !== undefined) return advice;
  }
  const key = String(path.at(-1));
  if (key === "tags" && typeof found === "string")
    return `Write a list: \`tags: [${JSON.stringify(found)}]\`, or rules: \`tags: {glob: "1.*"}\`.`;
  if (allowed.includes("a map")) {
    const colon = typeof found === "string" ? /^([\w-]+):(?=\S)/.exec(found)?.[1] : undefined;
    if (colon !== undefined && keys.includes(colon)) return `Write a space after the colon: \`${colon}: …\`.`;
    return keys.length === 0 ? undefined : `Write a map with these keys: ${keys.join(", ")}.`;
  }
  if (allowed.includes("a list")) return `Write a list: each item on its own line, after \`- \`.`;
  if (allowed.some((one) => /number/.test(one))) return `Write a number, such as \`${key}: 4\`.`;
  return undefined;
}

/** Where text is allowed, and something else is written. */
function adviceOnText(found: unknown, path: Path, yaml: YamlFile): string | undefined {
  const key = String(path.at(-1));
  if (Array.isArray(found)) return "Write one value, without a list.";
  if (typeof found === "boolean") return `Quote it if you mean text: "${found}".`;
  if (typeof found !== "number") return undefined;
  if (DURATION_KEYS.has(key))
    return `Write its unit too: ${["s", "m", "h", "d"].map((unit) => `${found}${unit}`).join(", ")}.`;
  if (/size$/i.test(key))
    return `Write its unit too: ${["MiB", "GiB"].map((unit) => `${found}${unit}`).join(", ")}.`;
  if (key === "listen" || key === "healthListen") return `Write the address too: 127.0.0.1:${found}.`;
  // YAML reads 1.10 as a number and drops the zero
  const written = writtenAt(path, yaml);
  return `Quote it if you mean text: "${written}"${written.includes(".") ? " (YAML reads 1.10 as the number 1.1)" : ""}.`;
}

/** A value as the file writes it: 1.10, and not 1.1. */
function writtenAt(path: Path, yaml: YamlFile): string {
  const { line, column } = yaml.placeOf(path);
  const rest = (yaml.text.split(/\r?\n/)[line - 1] ?? "").slice(column - 1);
  return /^[\w.+-]+/.exec(rest)?.[0] ?? "…";
}
