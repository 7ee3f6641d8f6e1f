import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { tagferry } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const MIRROR = { source: "quay.io/a/b", target: "imagestream:web/b", tags: ["1"] };

/** What `serve` refuses, each with the code of its first problem. */
const REFUSED: readonly (readonly [string, object])[] = [
  ["CONFIG_CRON", { mirrors: [{ ...MIRROR, schedule: "0 25 * * *" }] }],
  ["CONFIG_CRON", { mirrors: [MIRROR], defaults: { schedule: "hourly" } }],
  ["CONFIG_TIME_ZONE", { mirrors: [{ ...MIRROR, schedule: "0 1 * * *", timeZone: "Europe/Atlantis" }] }],
  ["CONFIG_REGEX", { mirrors: [{ ...MIRROR, tags: { regex: "a(b" } }] }],
  ["CONFIG_OVERLAP", { mirrors: [MIRROR, { ...MIRROR, name: "other", source: "quay.io/c/d" }] }],
  ["CONFIG_CA", { mirrors: [MIRROR], registries: { "quay.io": { ca: "absent.crt" } } }],
  ["CONFIG_SECRET", { mirrors: [MIRROR], daemon: { tokenFile: "absent" } }],
  ["CONFIG_SECRET", { mirrors: [MIRROR], daemon: { jobKeyFile: "absent" } }],
  ["CONFIG_LISTEN", { mirrors: [MIRROR], daemon: { listen: "0.0.0.0:8080" } }],
];

describe("validate refuses what serve refuses", () => {
  test.for(REFUSED)("%s: %j", async ([code, config]) => {
    await using directory = await temporaryDirectory();
    const file = directory.join("tagferry.yaml");
    writeFileSync(file, JSON.stringify({ version: 1, ...config }));
    const env = { KUBECONFIG: file }; // anything that exists
    const [validate, serve] = await Promise.all([
      tagferry(["validate", file], { env }),
      tagferry(["serve", "-c", file, "--listen", "127.0.0.1:0"], { env }),
    ]);
    expect(validate.code).toBe(3);
    expect(serve.code).toBe(3);
    expect(validate.stderr).toContain(code);
    expect(serve.stderr).toContain(code);
  });
});

test("no command checks a configuration with a list of its own", () => {
  const commands = ["commands/validate.ts", "commands/serve.ts", "read-config.ts"];
  for (const command of commands) {
    const code = readFileSync(join(import.meta.dirname, "../../src/cli", command), "utf8");
    expect(code.match(/checks: [^\n]*/g), command).toEqual(["checks: configChecks(process),"]);
  }
});

describe("validate warns of", () => {
  test.for<readonly [string, string, object]>([
    [
      "both day fields",
      "CONFIG_CRON_BOTH_DAYS",
      {
        mirrors: [{ ...MIRROR, schedule: "0 0 1 * 1" }],
        clusters: { here: { kubeconfigFile: "tagferry.yaml" } },
      },
    ],
    [
      "a registry that no mirror uses",
      "CONFIG_UNUSED",
      {
        mirrors: [MIRROR],
        registries: { "qay.io": {} },
        clusters: { here: { kubeconfigFile: "tagferry.yaml" } },
      },
    ],
    [
      "a kubeconfig that is not there",
      "CONFIG_KUBECONFIG",
      { mirrors: [MIRROR], clusters: { here: { kubeconfigFile: "absent" } } },
    ],
    ["no kubeconfig at all", "CONFIG_KUBECONFIG", { mirrors: [MIRROR] }],
  ])("%s", async ([, code, config]) => {
    await using directory = await temporaryDirectory();
    const file = directory.join("tagferry.yaml");
    writeFileSync(file, JSON.stringify({ version: 1, ...config }));
    const env = { HOME: directory.path, KUBECONFIG: "", KUBERNETES_SERVICE_HOST: "" };
    const text = await tagferry(["validate", file], { env });
    expect(text.code).toBe(0);
    expect(text.stderr.match(/^warning: \w+/gm)).toEqual([`warning: ${code}`]);
    const json = await tagferry(["validate", file, "-o", "json"], { env });
    expect(JSON.parse(json.stdout)).toMatchObject({ valid: true, warnings: [{ code }] });
  });
});
