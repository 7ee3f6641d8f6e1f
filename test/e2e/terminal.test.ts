import { describe, expect, test } from "vitest";

import { buildImage, pushTo } from "../support/images/images.ts";
import { inParts } from "../support/registry/connection-faults.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { frames, inTerminal } from "../support/terminal.ts";

const LAYER_BYTES = 6 * 1024 * 1024;
const BAR = /━+─*|─+/;

type World = AsyncDisposable & {
  readonly directory: TemporaryDirectory;
  readonly registry: TestRegistry;
  readonly config: string;
  /** Sends the next part of the layer. It has three parts. */
  release(part: 0 | 1): void;
};

/** An image whose large layer stops twice, until the test releases it. */
async function openWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const registry = stack.use(await startRegistry({ behaviour: { mount: "never" } }));
  await pushTo(registry, "team/app", buildImage({ layers: [LAYER_BYTES] }), "1.27");
  const parts = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const ends = [LAYER_BYTES / 2, (LAYER_BYTES * 5) / 6];
  registry.on(
    { method: "GET", kind: "blob", path: /team\/app/, always: true },
    inParts(ends, async (part) => parts[part]?.promise),
  );
  const config = await writeConfig(directory.path, {
    version: 1,
    registries: { [registry.host]: { plainHttp: true } },
    mirrors: [
      {
        name: "app",
        source: `${registry.host}/team/app`,
        target: `${registry.host}/mirror/of/a/team/with/a/very/long/name/app`,
        tags: ["1.27"],
      },
    ],
  });
  const owned = stack.move();
  return {
    directory,
    registry,
    config,
    release: (part) => parts[part].resolve(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const barsIn = (output: string): readonly string[] =>
  frames(output)
    .flat()
    .filter((line) => BAR.test(line) && line.includes("app:1.27"));

const filledOf = (line: string): number => /━*/.exec(line.slice(line.search(BAR)))?.[0].length ?? 0;

const widthOf = (line: string): number => BAR.exec(line)?.[0].length ?? 0;

describe.for([80, 120])("in a terminal of %i columns", (columns) => {
  test.for(["sync", "copy"])("%s shows a bar that moves", async (command) => {
    await using world = await openWorld();
    const { registry, config } = world;
    const from = `${registry.host}/team/app:1.27`;
    const to = `${registry.host}/mirror/of/a/team/with/a/very/long/name/app:1.27`;
    const args = command === "sync" ? ["sync", "-c", config] : ["copy", from, to, "-c", config];
    const { output, code } = await inTerminal(args, {
      columns,
      // each part is sent only after the one before it was drawn
      onOutput: (soFar) => {
        const filled = Math.max(0, ...barsIn(soFar).map(filledOf));
        if (filled > 2) world.release(0);
        if (filled > widthOf(barsIn(soFar)[0] ?? "") / 2) world.release(1);
      },
    });
    expect(code, output).toBe(0);
    const bars = barsIn(output);
    expect(bars.every((line) => widthOf(line) >= 8)).toBe(true);
    expect(new Set(bars.map(filledOf)).size).toBeGreaterThan(1);
    // both ends of a long name are shown, and no line is wider than the terminal
    expect(bars.every((line) => /^\S+…?\S*app:1\.27\s/.test(line))).toBe(true);
    for (const line of bars) expect(line.length).toBeLessThan(columns);
  });

  test("the first bars have no rate, and no rate is higher than what was sent", async () => {
    await using world = await openWorld();
    const { output } = await inTerminal(["sync", "-c", world.config], {
      columns,
      onOutput: (soFar) => {
        if (!barsIn(soFar).some((line) => / MiB\/s/.test(line))) return;
        world.release(0);
        world.release(1);
      },
    });
    const bars = barsIn(output);
    expect(bars[0]).not.toMatch(/\/s/);
    const rates = bars.flatMap((line) => /([\d.]+) MiB\/s/.exec(line)?.[1] ?? []).map(Number);
    expect(rates.length).toBeGreaterThan(0);
    // half of the layer is sent when the first rate is shown, which takes at least a second
    expect(Math.max(...rates)).toBeLessThanOrEqual(LAYER_BYTES / 1024 / 1024);
  });
});

test("with --no-progress nothing is drawn", async () => {
  await using world = await openWorld();
  world.release(0);
  world.release(1);
  const { output, code } = await inTerminal(["sync", "-c", world.config, "--no-progress"]);
  expect(code, output).toBe(0);
  expect(output).not.toContain("\u001b[");
});
