import { once } from "node:events";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { type Serving, startServe, tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { inTerminal } from "../support/terminal.ts";

type Record = { readonly name: string; readonly state: string; readonly failures: readonly unknown[] };

describe("status of a daemon with a good mirror, one with failed tags, and one without a source", () => {
  const stack = new AsyncDisposableStack();
  let registry: TestRegistry;
  let daemon: Serving;

  const status = async (...args: string[]): ReturnType<typeof tagferry> =>
    tagferry(["status", "--url", daemon.url, ...args]);

  beforeAll(async () => {
    const directory = stack.use(await temporaryDirectory());
    registry = stack.use(await startRegistry());
    for (const tag of ["1.9", "1.10"]) await pushTo(registry, "a/app", buildImage({ seed: tag }), tag);
    const source = `${registry.host}/a/app`;
    const config = await writeConfig(directory.path, {
      version: 1,
      registries: { [registry.host]: { plainHttp: true } },
      mirrors: [
        { name: "good", source, target: `${registry.host}/b/good`, tags: ["1.9", "1.10"] },
        { name: "some", source, target: `${registry.host}/b/some`, tags: ["1.9", "gone", "away"] },
        {
          name: "none",
          source: `${registry.host}/a/none`,
          target: `${registry.host}/b/none`,
          tags: { all: true },
        },
      ],
    });
    daemon = await startServe(["-c", config, "--listen", "127.0.0.1:0"]);
    for (const name of ["good", "some", "none"])
      await fetch(`${daemon.url}/api/v1/mirrors/${name}/sync`, {
        method: "POST",
        headers: { origin: daemon.url },
      });
    await until(async () => {
      const { stdout } = await status("-o", "json");
      const states = (JSON.parse(stdout) as Record[]).map(({ name, state }) => `${name} ${state}`);
      return ["good fresh", "some failing", "none failing"].every((one) => states.includes(one));
    });
  });

  afterAll(async () => {
    const ended = once(daemon.child, "exit");
    daemon.child.kill("SIGKILL");
    await ended;
    await stack.disposeAsync();
  });

  test("says why for each failed tag, and for the mirror that could not be checked", async () => {
    const { stdout, code } = await status();
    expect(code).toBe(1);
    expect(stdout).toMatch(/^MIRROR +STATE +TAGS +LAST GOOD RUN +NEXT RUN\n/);
    // two tags with one reason are one block
    expect(stdout).toMatch(
      /some {2}away, gone\n {2}MANIFEST_UNKNOWN .*\n(?: {4}.*\n)* {4}next +Check the tag/,
    );
    expect(stdout).toMatch(/none {2}failing since \S+\n {2}NAME_UNKNOWN/);
  });

  test("-o json has the failures of each mirror", async () => {
    const records = JSON.parse((await status("-o", "json")).stdout) as Record[];
    const failuresOf = (name: string): unknown => records.find((one) => one.name === name)?.failures;
    expect(failuresOf("good")).toEqual([]);
    expect(failuresOf("some")).toMatchObject([
      { tag: "away", failure: { code: "MANIFEST_UNKNOWN", next: expect.any(String) } },
      { tag: "gone", failure: { code: "MANIFEST_UNKNOWN" } },
    ]);
  });

  test("of one mirror has its tags in the order of versions", async () => {
    const { stdout, code } = await status("good");
    expect(code).toBe(0);
    expect(stdout).toMatch(/source +\S+\/a\/app\n/);
    expect(stdout).toMatch(/TAG +LAST +DIGEST +PUBLISHED\n +1\.9 +copied +sha256:[0-9a-f]{12} .*\n +1\.10 /);
  });

  test("--failing leaves out what is well", async () => {
    const { stdout, code } = await status("--failing");
    expect(stdout).not.toContain("good");
    expect(stdout).toContain("some");
    expect(code).toBe(1);
    expect(await status("good", "--failing")).toMatchObject({
      stdout: "no mirror is late or failing\n",
      code: 0,
    });
  });

  test("has relative times and 80 columns on a terminal, ISO times elsewhere", async () => {
    const { output } = await inTerminal(["status", "good", "some", "--url", daemon.url]);
    const table = output.split("\n\n")[0]?.split("\n") ?? [];
    expect(table[1]).toMatch(/^good +fresh +2 +(?:now|\d+ (?:s|min) ago) +on request$/);
    for (const line of table) expect(line.length).toBeLessThan(80);
    expect((await status("good", "some")).stdout).toMatch(/good +fresh +2 +\d{4}-\d\d-\d\dT/);
  });

  test("--watch shows it again until Ctrl-C", async () => {
    const { output, code } = await inTerminal(["status", "--watch", "--url", daemon.url], {
      onOutput: (soFar, type) => {
        if (soFar.split("\u001b[H\u001b[J").length > 2) type("\u0003");
      },
    });
    expect(code).toBe(130);
    expect(output).not.toContain("finished tags");
    expect(output.split("\u001b[H\u001b[J").slice(1, 3)).toEqual([
      expect.stringContaining("MIRROR"),
      expect.stringContaining("MIRROR"),
    ]);
  });

  test("names a program that is not a daemon, and an address that is none", async () => {
    const other = await tagferry(["status", "--url", registry.url]);
    expect(other.stderr).toContain("another program answers");
    expect(other.code).toBe(2);
    const none = await tagferry(["status", "--url", "nope:8080"]);
    expect(none.stderr).toContain("Write the scheme too: --url http://nope:8080.");
    expect(none.code).toBe(3);
  });
});
