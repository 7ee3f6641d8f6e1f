import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { PASSWORD, USER } from "../registry/rules.ts";
import { asConfig } from "./mirror.ts";
import type { World } from "./world.ts";

/** Scenarios that share one process of the product: their mirrors stand in one configuration file. */
export type Batch = {
  readonly worlds: readonly World[];
  readonly directory: string;
  readonly file: string;
  /** Names of the mirrors whose source answers. */
  readonly living: readonly string[];
};

export function writeBatch(
  worlds: readonly World[],
  directory: string,
  { schedule, daemon }: { readonly schedule?: string; readonly daemon?: Record<string, unknown> } = {},
): Batch {
  const file = join(directory, "tagferry.json");
  const password = join(directory, "password");
  writeFileSync(password, PASSWORD);
  const registries = worlds.flatMap((world) => [
    ...world.registries.map(({ host, rules }) => [
      host,
      {
        plainHttp: true,
        ...(rules.auth === "none" ? {} : { credentials: { username: USER, passwordFile: password } }),
      },
    ]),
    ...(world.dead === undefined ? [] : [[world.dead.host, { plainHttp: true }]]),
  ]);
  const config = {
    version: 1,
    registries: Object.fromEntries(registries),
    ...(schedule === undefined ? {} : { defaults: { schedule } }),
    ...(daemon === undefined ? {} : { daemon }),
    // the dead mirrors come first, so that a program that works through the list reaches them first
    mirrors: [
      ...worlds.flatMap((world) => deadMirror(world, directory)),
      ...worlds.flatMap(({ mirrors }) => mirrors.map(asConfig)),
    ],
  };
  writeFileSync(file, JSON.stringify(config, undefined, 2));
  const living = worlds.flatMap(({ mirrors }) => mirrors.map(({ name }) => name));
  return { worlds, directory, file, living };
}

function deadMirror({ dead, number }: World, directory: string): Record<string, unknown>[] {
  if (dead === undefined) return [];
  return [
    {
      name: `s${number}-dead`,
      source: `${dead.host}/up/dead`,
      target: `oci:${join(directory, `s${number}-dead`)}`,
      tags: ["latest"],
    },
  ];
}
