/** An edit of a copy of the source: a new file, or a text of a file that is replaced. The text must occur exactly once. */
export type Edit =
  | { readonly file: string; readonly create: string }
  | { readonly file: string; readonly replace: string; readonly by: string };

/** A recipe of CONTRIBUTING.md, done once for a small example. */
export type Recipe = {
  /** The heading in CONTRIBUTING.md. */
  readonly title: string;
  readonly edits: readonly Edit[];
  /** Files that `npm run generate` changes. */
  readonly generated: readonly string[];
  /** Tests that show that the new thing works: test files, then options of vitest. */
  readonly probe: readonly string[];
};

/** Inserts lines before a text. */
export function before(file: string, anchor: string, lines: string): Edit {
  return { file, replace: anchor, by: `${lines}${anchor}` };
}

/** Inserts lines after a text. */
export function after(file: string, anchor: string, lines: string): Edit {
  return { file, replace: anchor, by: `${anchor}${lines}` };
}
