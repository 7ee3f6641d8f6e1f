import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import type { Hono } from "hono";

import type { WebEnv } from "./env.ts";

/** The static files of the page: path → content. They are public, because they contain no data of the daemon. */
export type Assets = {
  readonly files: readonly Asset[];
  /** The URL of a file. It changes with the content. */
  href(name: AssetName): string;
};

type AssetName = (typeof NAMES)[number];
type Asset = {
  readonly name: AssetName;
  readonly text: string;
  readonly type: string;
  readonly version: string;
};

const NAMES = ["page.css", "page.js", "icon.svg"] as const;
const TYPES: Readonly<Record<AssetName, string>> = {
  "page.css": "text/css; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
  "icon.svg": "image/svg+xml",
};

export function openAssets(): Assets {
  const files = NAMES.map((name) => {
    const text = readFileSync(new URL(`assets/${name}`, import.meta.url), "utf8");
    const version = createHash("sha256").update(text).digest("hex").slice(0, 12);
    return { name, text, version, type: TYPES[name] };
  });
  return {
    files,
    href: (name) => `/assets/${name}?v=${files.find((file) => file.name === name)?.version}`,
  };
}

export function assetRoutes(app: Hono<WebEnv>, { files }: Assets): void {
  for (const { name, text, type, version } of files)
    app.get(`/assets/${name}`, (context) =>
      context.body(text, 200, {
        "content-type": type,
        "cache-control":
          context.req.query("v") === version ? "public, max-age=31536000, immutable" : "no-cache",
      }),
    );
}
