import { cp } from "node:fs/promises";
import { join, sep } from "node:path";

import { type Plugin, rolldown } from "rolldown";

import { CLIENT_NODE_MODELS, UNDICI_PARTS } from "./shortcuts.ts";

/** What went into a bundle: the files of packages, and which of them import which. */
export type Bundled = {
  /** Absolute paths of the modules whose code is in the output. */
  readonly modules: ReadonlySet<string>;
  /** Module → the modules it imports, in any way. */
  readonly imports: ReadonlyMap<string, readonly string[]>;
};

/**
 * Bundles `src/main.ts` into CommonJS chunks in `directory`: `main.cjs`, and a chunk for what each command needs alone, with
 * source maps.
 *
 * CommonJS because V8's code cache can be given with a script and not with a module, and chunks because a command then reads
 * what it runs: docs/measurements.md has the numbers. Names stay as they are: a stack trace can be read without its map.
 */
export async function bundle(root: string, directory: string): Promise<Bundled> {
  const imports = new Map<string, readonly string[]>();
  await using build = await rolldown({
    cwd: root,
    input: { main: join(root, "src/main.ts") },
    platform: "node",
    // native, optional, and only for reading what we never read: msgpackr does without it
    external: ["msgpackr-extract"],
    plugins: [CLIENT_NODE_MODELS, UNDICI_PARTS, importsInto(imports)],
    onLog(level, log, report) {
      if (level === "warn") throw new Error(`the bundle would not be what the source is: ${log.message}`);
      report(level, log);
    },
  });
  const { output } = await build.write({
    dir: directory,
    format: "cjs",
    sourcemap: true,
    entryFileNames: "[name].cjs",
    chunkFileNames: "[name]-[hash].cjs",
    comments: { legal: true, annotation: false, jsdoc: false },
  });
  // assets.ts reads them beside itself
  await cp(join(root, "src/web/assets"), join(directory, "assets"), { recursive: true });
  const chunks = output.filter((part) => part.type === "chunk");
  return { modules: new Set(chunks.flatMap(({ moduleIds }) => moduleIds)), imports };
}

function importsInto(imports: Map<string, readonly string[]>): Plugin {
  return {
    name: "imports",
    moduleParsed({ id, importedIds, dynamicallyImportedIds }) {
      imports.set(id, [...importedIds, ...dynamicallyImportedIds]);
    },
  };
}

/** The directory of the package that a module is of, below `root`: `node_modules/undici`. Undefined: a module of ours. */
export function packageDirectoryOf(module: string): string | undefined {
  const marker = `${sep}node_modules${sep}`;
  const start = module.lastIndexOf(marker);
  if (start === -1) return undefined;
  const inside = module.slice(start + marker.length).split(sep);
  const length = inside[0]?.startsWith("@") === true ? 2 : 1;
  return module.slice(0, start + marker.length) + inside.slice(0, length).join(sep);
}
