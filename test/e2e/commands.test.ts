import { describe, expect, test } from "vitest";

import { jsonSchema } from "../../src/config/file/schema.ts";
import { buildIndex, pushTo, signCosign } from "../support/images/images.ts";
import { makeCertificates, PASSWORD, skopeo, startDockerRegistry, USERNAME } from "../support/servers.ts";
import { tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const MIRROR = { source: "quay.io/a/b", target: "imagestream:web/b", tags: ["1"] };

describe("commands on Debian's docker-registry, behind TLS with htpasswd and behind a token server", async () => {
  const { ca, trustDirectory } = await makeCertificates();

  test.for(["htpasswd", "bearer"] as const)(
    "copies from %s to a plain registry and to a layout, byte by byte",
    async (auth) => {
      await using directory = await temporaryDirectory();
      await using source = await startDockerRegistry({ auth, tls: true });
      await using target = await startDockerRegistry({});
      const image = signCosign(buildIndex({ seed: auth, oddWhitespace: true }));
      const layout = `oci:${directory.join("layout")}`;
      await skopeoPush();

      const config = await writeConfig(directory.path, {
        version: 1,
        registries: {
          [source.host]: {
            ca: ca.certFile,
            credentials: { username: USERNAME, password: "${CANARY}" },
            tokenRealms: ["localhost", "127.0.0.1"],
          },
          [target.host]: { plainHttp: true },
        },
        mirrors: [
          {
            name: "registry",
            source: `${source.host}/library/app`,
            target: `${target.host}/mirror/app`,
            tags: ["1"],
          },
          { name: "layout", source: `${source.host}/library/app`, target: layout, tags: ["1"] },
        ],
      });
      const env = { CANARY: PASSWORD };
      const run = await tagferry(["sync", "-c", config, "-o", "json", "--log-level", "debug"], { env });
      expect(run.code, run.stdout + run.stderr).toBe(0);
      expect(run.stdout + run.stderr).not.toContain(PASSWORD);
      const flags = ["--src-tls-verify=false"];
      const raw = await skopeo([
        "inspect",
        "--raw",
        "--tls-verify=false",
        `docker://${target.host}/mirror/app:1`,
      ]);
      expect(Buffer.from(raw)).toEqual(Buffer.from(image.manifest.bytes));
      expect(Buffer.from(await skopeo(["inspect", "--raw", `${layout}:1`]))).toEqual(
        Buffer.from(image.manifest.bytes),
      );
      await skopeo([
        "copy",
        "--all",
        ...flags,
        `docker://${target.host}/mirror/app:1`,
        `oci:${directory.join("pulled")}:1`,
      ]);

      const tags = await tagferry(["tags", `${source.host}/library/app`, "-c", config, "-o", "json"], {
        env,
      });
      expect(JSON.parse(tags.stdout)).toContainEqual(
        expect.objectContaining({ tag: "1", digest: image.manifest.digest }),
      );

      const known = await tagferry(["auth", source.host, "-c", config, "-o", "json"], { env });
      expect(JSON.parse(known.stdout)).toMatchObject([
        { registry: source.host, username: USERNAME, works: true },
      ]);
      const wrong = await tagferry(["auth", source.host, "-c", config, "-o", "json"], {
        env: { CANARY: "wrong-canary" },
      });
      expect(JSON.parse(wrong.stdout)).toMatchObject([{ works: false, failure: { code: "AUTH_DENIED" } }]);
      expect(wrong.code).toBe(4);
      expect(wrong.stdout + wrong.stderr).not.toContain("wrong-canary");

      const copied = await tagferry(
        ["copy", `${source.host}/library/app:1`, `${target.host}/other/app:2`, "-c", config, "-o", "json"],
        { env },
      );
      expect(JSON.parse(copied.stdout)).toMatchObject({
        digest: image.manifest.digest,
        moved: { referrers: 1 },
      });
      expect(copied.code).toBe(0);

      async function skopeoPush(): Promise<void> {
        await using plain = await startDockerRegistry({});
        await pushTo({ url: `http://${plain.host}` }, "library/app", image, "1");
        const { tags: all } = JSON.parse(
          await skopeo(["list-tags", "--tls-verify=false", `docker://${plain.host}/library/app`]).then(
            (text) => text.toString().replace('"Tags"', '"tags"'),
          ),
        ) as { tags: string[] };
        for (const tag of all)
          await skopeo([
            "copy",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-cert-dir",
            trustDirectory,
            "--dest-creds",
            `${USERNAME}:${PASSWORD}`,
            `docker://${plain.host}/library/app:${tag}`,
            `docker://${source.host}/library/app:${tag}`,
          ]);
      }
    },
  );
});

describe("the command line", () => {
  test.for([
    { row: "B1 an unknown command", args: ["snyc"], code: 3, says: "Did you mean sync?" },
    { row: "B1 an unknown flag", args: ["sync", "--confg", "x"], code: 3, says: "--config" },
    { row: "B2 a missing value", args: ["sync", "-c"], code: 3, says: "USAGE" },
    { row: "B2 a value given twice", args: ["sync", "-c", "a", "-c", "b"], code: 3, says: "is given twice" },
    { row: "B2 a missing argument", args: ["copy", "x"], code: 3, says: "USAGE" },
    { row: "B4 an invalid log level", args: ["sync", "--log-level", "loud"], code: 3, says: "debug" },
    {
      row: "a configuration that is not there",
      args: ["sync", "-c", "/nonexistent.yaml"],
      code: 3,
      says: "CONFIG_NOT_FOUND",
    },
    { row: "a reference that is none", args: ["copy", "quay.io/UPPER/x:1", "y:1"], code: 3, says: "CONFIG_" },
    {
      row: "B20 a proxy that is none",
      args: ["tags", "127.0.0.1:1/a"],
      env: { HTTPS_PROXY: "ftp://u:canary@x" },
      code: 3,
      says: "PROXY_INVALID",
    },
  ])("$row", async ({ args, code, says, env = {} }) => {
    const run = await tagferry(args, { env });
    expect(run.stderr).toContain(says);
    expect(run.code).toBe(code);
    expect(run.stderr).not.toMatch(/\n\s+at /);
    expect(run.stderr).not.toContain("canary");
  });

  test("an unknown mirror is answered with those there are", async () => {
    await using directory = await temporaryDirectory();
    const config = await writeConfig(directory.path, { version: 1, mirrors: [MIRROR] });
    const run = await tagferry(["sync", "nope", "-c", config]);
    expect(run.stderr).toContain("web-b");
    expect(run.code).toBe(3);
  });

  test("prints the schema that editors read, and says that a file is valid", async () => {
    expect(JSON.parse((await tagferry(["schema"])).stdout)).toEqual(jsonSchema());
    await using directory = await temporaryDirectory();
    const config = await writeConfig(directory.path, { version: 1, mirrors: [MIRROR] });
    expect((await tagferry(["validate", config])).stdout).toContain("is valid: 1 mirror (web-b)");
  });

  test.for(["sync", "plan", "copy", "tags", "validate", "schema", "auth"])(
    "helps with %s",
    async (command) => {
      const { stdout, code } = await tagferry([command, "--help"]);
      expect(stdout).toContain(`Usage: tagferry ${command}`);
      expect(code).toBe(0);
    },
  );
});
