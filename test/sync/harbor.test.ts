import { writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { buildImage, pushTo } from "../support/images/images.ts";
import { outcomesOf, syncWith } from "../support/in-process.ts";
import { altered, registryError } from "../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { refusal } from "../support/registry/wire.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { told } from "./scene.ts";

const image = buildImage({ seed: "harbor", layers: [500] });
const TAGS = ["1", "locked", "2"];

/** What Harbor answers to a read of one tag when a project policy forbids it: content trust, or vulnerabilities. */
function forbidReading(registry: TestRegistry, repository: string): void {
  const words = "current image with 3 vulnerabilities cannot be pulled due to configured policy";
  for (const method of ["GET", "HEAD"])
    registry.on(
      { method, path: new RegExp(`/v2/${repository}/manifests/locked$`), always: true },
      registryError(412, "PROJECTPOLICYVIOLATION", { message: words }),
    );
}

describe("a policy that forbids reading one tag (412)", () => {
  test("of the source refuses this tag, and no other tag or mirror", async () => {
    await using directory = await temporaryDirectory();
    await using harbor = await startRegistry();
    await using target = await startRegistry();
    for (const repository of ["lab/app", "lab/other"])
      for (const tag of TAGS) await pushTo(harbor, repository, image, tag);
    forbidReading(harbor, "lab/app");
    const mirrorOf = (name: string): object => ({
      name,
      source: `${harbor.host}/lab/${name}`,
      target: `${target.host}/m/${name}`,
      tags: TAGS,
    });
    const report = await syncWith(directory, {
      registries: { [harbor.host]: { plainHttp: true }, [target.host]: { plainHttp: true } },
      mirrors: [mirrorOf("app"), mirrorOf("other")],
    });
    expect(told(report)).toEqual({
      app: { "1": "copied", locked: "SOURCE_POLICY", "2": "copied" },
      other: { "1": "copied", locked: "copied", "2": "copied" },
    });
  });

  test("of the target does not keep the tag from being written, nor the others from being compared", async () => {
    await using directory = await temporaryDirectory();
    await using source = await startRegistry();
    await using harbor = await startRegistry();
    for (const tag of TAGS) await pushTo(source, "a/app", image, tag);
    forbidReading(harbor, "lab/app");
    const run = async (): Promise<Record<string, string>> =>
      outcomesOf(
        await syncWith(directory, {
          registries: { [source.host]: { plainHttp: true }, [harbor.host]: { plainHttp: true } },
          mirrors: [{ source: `${source.host}/a/app`, target: `${harbor.host}/lab/app`, tags: TAGS }],
        }),
      );
    expect(await run()).toEqual({ "1": "copied", locked: "copied", "2": "copied" });
    expect(harbor.tags("lab/app").toSorted()).toEqual(["1", "2", "locked"]);
    // nobody can see what is there, so it is written again, without bytes
    expect(await run()).toEqual({ "1": "unchanged", locked: "copied", "2": "unchanged" });
  });
});

test("a robot that may only pull is named when it pushes, with the project and the right", async () => {
  await using directory = await temporaryDirectory();
  await using source = await startRegistry();
  const robot = "robot$lab+pull";
  await using harbor = await startRegistry({
    auth: {
      kind: "bearer",
      origin: "same",
      username: robot,
      password: "geheim-pull",
      grant: (_repository, actions) => actions.filter((action) => action === "pull"),
    },
  });
  // Harbor's words in the place of the fake's
  harbor.on(
    { path: /\/v2\/lab\//, always: true },
    altered((answer) =>
      answer.status === 401
        ? {
            ...answer,
            body:
              refusal(
                401,
                "UNAUTHORIZED",
                "unauthorized to access repository: lab/app, action: push: unauthorized to access repository: lab/app, action: push",
              ).body ?? Buffer.of(),
          }
        : answer,
    ),
  );
  await pushTo(source, "a/app", image, "1");
  await writeFile(directory.join("password"), "geheim-pull");
  const { mirrors } = await syncWith(directory, {
    registries: {
      [source.host]: { plainHttp: true },
      [harbor.host]: { plainHttp: true, credentials: { username: robot, passwordFile: "password" } },
    },
    mirrors: [{ source: `${source.host}/a/app`, target: `${harbor.host}/lab/app`, tags: ["1"] }],
  });
  expect(mirrors[0]?.outcomes).toMatchObject([
    {
      tag: "1",
      failure: {
        code: "DENIED",
        message: expect.stringContaining("robot$lab+pull may not push lab/app"),
        next: "Give robot$lab+pull the right to push repositories of the project lab.",
        details: { account: robot, status: 401 },
      },
    },
  ]);
  expect(JSON.stringify(mirrors)).not.toContain("geheim-pull");
});
