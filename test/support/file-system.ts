import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync } from "node:fs";
import { link, mkdir, symlink, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gzipSync, zstdCompressSync } from "node:zlib";

import type { Layer } from "./images/content.ts";
import type { TemporaryDirectory } from "./temporary.ts";

const run = promisify(execFile);

/** A layer as image builders make it: real files of this machine, by the real `tar`. */
export async function layerOfFiles(paths: readonly string[], compression: "gzip" | "zstd"): Promise<Layer> {
  const there = paths.flatMap((path) => globSync(path)).filter((path) => existsSync(path));
  if (there.length === 0) throw new Error(`nothing of ${paths.join(", ")} is on this machine`);
  const tar = ["--create", "--sort=name", "--numeric-owner", "--directory", "/", "--"];
  const options = { encoding: "buffer", maxBuffer: 256 * 1024 * 1024 } as const;
  const { stdout } = await run("tar", [...tar, ...there.map((path) => path.slice(1))], options);
  const bytes = compression === "gzip" ? gzipSync(stdout) : zstdCompressSync(stdout);
  return {
    bytes,
    mediaType: `application/vnd.oci.image.layer.v1.tar+${compression}`,
    diffId: `sha256:${createHash("sha256").update(stdout).digest("hex")}`,
  };
}

/** Hard links, links that lead out of the directory, unusual names, an empty file and a large sparse file. */
export async function oddFiles(directory: TemporaryDirectory): Promise<string> {
  const root = directory.join("odd");
  await mkdir(`${root}/with space/ünïcode`, { recursive: true });
  await writeFile(`${root}/empty`, "");
  await writeFile(`${root}/with space/ünïcode/file`, "content\n");
  await link(`${root}/with space/ünïcode/file`, `${root}/hard`);
  await symlink("../../../../etc/passwd", `${root}/out`);
  await symlink("nowhere", `${root}/dangling`);
  await run("truncate", ["--size=8M", `${root}/sparse`]);
  await writeFile(`${root}/setuid`, "#!/bin/sh\n", { mode: 0o4755 });
  return root;
}
