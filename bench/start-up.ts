import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { seedImage } from "./content.ts";
import { type Command, type Measured, measure, median } from "./measure.ts";
import { openWorkspace, startBenchRegistry } from "./servers.ts";

/** What starting the program takes, in the form that is installed and from the source. */

export const START_UP = "start of commands";

const SOURCE = new URL("../bin/tagferry", import.meta.url).pathname;

/** CPU seconds, user and system, that the built form is to stay below on the machine of docs/measurements.md. */
const AIMS = { "--version": 0.12, validate: 0.2, "sync of one tag": 0.3 } as const;
type Work = keyof typeof AIMS;

export type Start = Measured & {
  readonly work: Work;
  readonly form: "source" | "built";
  readonly round: number;
};

type StartUpOptions = { readonly built: string; readonly rounds: number };

/** In turn, so that what disturbs the machine disturbs both. Two rounds before do not count: they fill caches. */
export async function measureStartUp({ built, rounds }: StartUpOptions): Promise<readonly Start[]> {
  await using workspace = await openWorkspace();
  await using source = await startBenchRegistry(workspace.directory, "source");
  await using target = await startBenchRegistry(workspace.directory, "target");
  await seedImage(source, { repository: "team/app", tag: "v1", layers: [200_000, 30_000] });
  const file = join(workspace.directory, "tagferry.yaml");
  const works: Readonly<Record<Work, readonly string[]>> = {
    "--version": ["--version"],
    validate: ["validate", file],
    "sync of one tag": ["sync", "-c", file, "--no-progress"],
  };
  const starts: Start[] = [];
  for (let round = -1; round <= rounds; round += 1)
    for (const [work, args] of Object.entries(works) as [Work, readonly string[]][])
      for (const form of ["source", "built"] as const) {
        // each sync finds an empty repository
        const repository = `copy/${form}-${round + 1}`;
        await writeFile(file, configFor(`${source.host}/team/app`, `${target.host}/${repository}`));
        const command: Command = { program: form === "built" ? built : SOURCE, args };
        const measured = await measure(command);
        if (round > 0) starts.push({ work, form, round, ...measured });
      }
  return starts;
}

function configFor(source: string, target: string): string {
  const registries = Object.fromEntries(
    [source, target].map((location) => [location.split("/")[0], { plainHttp: true }]),
  );
  return JSON.stringify({ version: 1, registries, mirrors: [{ source, target, tags: ["v1"] }] }); // JSON is YAML
}

export function renderStartUp(starts: readonly Start[]): string {
  const cell = (work: Work, form: Start["form"], of: (start: Start) => number, digits: number): string =>
    median(starts.filter((start) => start.work === work && start.form === form).map(of))
      .toFixed(digits)
      .padStart(8);
  const header = `${START_UP.padEnd(20)}${"source".padStart(10)}${"built".padStart(8)}${"aim".padStart(8)}`;
  const rows = (Object.keys(AIMS) as Work[]).flatMap((work) =>
    (
      [
        ["CPU s", ({ cpuS }) => cpuS, 3, AIMS[work].toFixed(2)],
        ["wall s", ({ wallS }) => wallS, 3, ""],
        ["peak RSS MB", ({ peakRssBytes }) => peakRssBytes / 1e6, 0, ""],
      ] satisfies [string, (start: Start) => number, number, string][]
    ).map(
      ([name, of, digits, aim], index) =>
        `${(index === 0 ? work : "").padEnd(16)}${name.padEnd(12)}` +
        `${cell(work, "source", of, digits)}${cell(work, "built", of, digits)}${aim.padStart(8)}`,
    ),
  );
  return [header, ...rows].join("\n");
}
