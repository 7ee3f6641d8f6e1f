import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { makeCertificates } from "../../support/certificates.ts";
import type { StreamCluster } from "../cluster/streams.ts";
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

export async function writeBatch(
  worlds: readonly World[],
  directory: string,
  { schedule, daemon }: { readonly schedule?: string; readonly daemon?: Record<string, unknown> } = {},
): Promise<Batch> {
  const file = join(directory, "tagferry.json");
  const password = join(directory, "password");
  writeFileSync(password, PASSWORD);
  const { ca } = await makeCertificates();
  const streams = worlds.flatMap((world) => world.streams ?? []);
  const transportOf = (tls: boolean): Record<string, unknown> =>
    tls ? { ca: ca.certFile } : { plainHttp: true };
  const registries = worlds.flatMap((world) => [
    ...world.registries.map(({ host, rules }) => [
      host,
      {
        ...transportOf(rules.tls),
        ...(rules.auth === "none" ? {} : { credentials: { username: USER, passwordFile: password } }),
      },
    ]),
    ...(world.dead === undefined ? [] : [[world.dead.host, { plainHttp: true }]]),
    ...(world.streams === undefined
      ? []
      : [[world.streams.cluster.registryHost, transportOf(world.streams.cluster.ca !== undefined)]]),
  ]);
  const config = {
    version: 1,
    registries: Object.fromEntries(registries),
    ...(streams.length === 0 ? {} : { clusters: { here: clusterConfig(streams[0]) } }),
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

function clusterConfig(streams: StreamCluster | undefined): Record<string, unknown> {
  return {
    kubeconfigFile: streams?.kubeconfigFile,
    registry: streams?.cluster.registryHost,
    owner: "faults",
  };
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
