import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Random } from "../random.ts";

export const LAYOUT_DAMAGE = [
  "layout: a blob is truncated",
  "layout: a blob is altered",
  "layout: a blob is removed",
  "layout: index.json is cut",
  "layout: index.json is garbage",
  "layout: index.json is removed",
  "layout: oci-layout is removed",
  "layout: stray files",
] as const;

export type LayoutDamage = (typeof LAYOUT_DAMAGE)[number];

/** Damages a layout between two runs, as disks, people and other tools do. Returns a description. */
export function damageLayout(directory: string, kind: LayoutDamage, random: Random): string {
  const blobs = join(directory, "blobs", "sha256");
  const names = readdirSync(blobs).filter((name) => /^[0-9a-f]{64}$/.test(name));
  const name = names.length === 0 ? "none" : random.pick(names);
  const path = join(blobs, name);
  const index = join(directory, "index.json");
  switch (kind) {
    case "layout: a blob is truncated":
      if (name !== "none") truncateSync(path, Math.floor(statSync(path).size / 2));
      return `truncated ${name}`;
    case "layout: a blob is altered":
      if (name !== "none") flip(path, random);
      return `altered ${name}`;
    case "layout: a blob is removed":
      rmSync(path, { force: true });
      return `removed ${name}`;
    case "layout: index.json is cut":
      truncateSync(index, Math.floor(statSync(index).size / 2));
      return "cut index.json";
    case "layout: index.json is garbage":
      writeFileSync(index, random.bytes(300));
      return "index.json is garbage";
    case "layout: index.json is removed":
      rmSync(index);
      return "removed index.json";
    case "layout: oci-layout is removed":
      rmSync(join(directory, "oci-layout"), { force: true });
      return "removed oci-layout";
    case "layout: stray files":
      writeFileSync(join(blobs, `${"0".repeat(64)}.tmp-123`), random.bytes(50));
      writeFileSync(join(directory, "manifest.json"), "[]");
      return "stray files";
  }
}

function flip(path: string, random: Random): void {
  const bytes = readFileSync(path);
  if (bytes.length === 0) return;
  const at = random.int(0, bytes.length - 1);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}
