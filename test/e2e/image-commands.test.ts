import { describe, expect, test } from "vitest";

import { makeCertificates } from "../support/certificates.ts";
import { buildIndex, pushTo } from "../support/images/images.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { startDockerRegistry } from "../support/servers.ts";
import { tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

describe("copy, tags and auth", () => {
  test("work with a file that has only registries, and with none", async () => {
    await using directory = await temporaryDirectory();
    await using registry = await startRegistry();
    await pushTo(registry, "a/app", buildIndex({}), "1");
    await writeConfig(directory.path, { version: 1, registries: { [registry.host]: { plainHttp: true } } });
    const [from, to] = [`${registry.host}/a/app:1`, `${registry.host}/b/app:1`];
    const at = { cwd: directory.path };
    expect((await tagferry(["copy", from, to], at)).stderr).not.toContain("CONFIG_");
    expect(registry.digestOf("b/app", "1")).toBe(registry.digestOf("a/app", "1"));
    expect((await tagferry(["tags", `${registry.host}/a/app`], at)).stdout).toContain("1  sha256:");
    expect((await tagferry(["auth", registry.host], at)).code).toBe(0);
    // a command about mirrors still needs some
    expect((await tagferry(["plan"], at)).stderr).toContain("mirrors is missing");
    expect(
      (await tagferry(["copy", from, `oci:${directory.path}/x:1`, "-c", directory.join("none.yaml")])).code,
    ).toBe(3);
  });

  test("copy --platform may stand before the images, with several platforms", async () => {
    await using directory = await temporaryDirectory();
    await using registry = await startRegistry();
    await pushTo(registry, "a/app", buildIndex({}), "1");
    const config = await writeConfig(directory.path, {
      version: 1,
      registries: { [registry.host]: { plainHttp: true } },
    });
    const copied = await tagferry([
      "copy",
      "--platform",
      "linux/amd64,linux/arm64",
      `docker://${registry.host}/a/app:1`,
      `oci:${directory.join("layout")}:1`,
      "-c",
      config,
      "-o",
      "json",
    ]);
    expect(copied.code, copied.stderr).toBe(0);
    expect(copied.stderr).toContain("hint: docker:// is not needed");
    // the index and two of its images
    expect(JSON.parse(copied.stdout)).toMatchObject({ moved: { manifests: 3 } });
  });

  test("copy says that it writes no streams, and wants a registry in its target", async () => {
    const stream = await tagferry(["copy", "quay.io/a/b:1", "imagestream:web/x:1"]);
    expect(stream.stderr).toMatch(
      /USAGE {2}imagestream:web\/x:1 is an image stream[^]*target: imagestream:web\/x`/,
    );
    expect(stream.code).toBe(3);
    const short = await tagferry(["copy", "quay.io/a/b:1", "web/secret-app:1"]);
    expect(short.stderr).toMatch(
      /CONFIG_REGISTRY .*would be written to Docker Hub[^]*docker\.io\/web\/secret-app:1/,
    );
    expect(short.code).toBe(3);
  });
});

describe("TLS", async () => {
  const { ca, server } = await makeCertificates();

  test("the authorities of SSL_CERT_FILE are trusted without a configuration", async () => {
    await using registry = await startRegistry({ tls: server });
    await pushTo({ url: registry.url, ca: ca.cert }, "a/app", buildIndex({}), "1");
    const trusted = await tagferry(["tags", `${registry.host}/a/app`, "--names"], {
      env: { SSL_CERT_FILE: ca.certFile },
    });
    expect(trusted).toMatchObject({ code: 0, stdout: "1\n" });
    const refused = await tagferry(["tags", `${registry.host}/a/app`, "--names"]);
    expect(refused.stderr).toContain("REGISTRY_TLS");
    expect(refused.stderr).toContain(`Set \`ca\` of ${registry.host} under \`registries\``);
    expect(refused.stderr).not.toContain("--use-system-ca");
  });

  test("a port without TLS, and one with TLS where none is expected, are named with the key", async () => {
    await using directory = await temporaryDirectory();
    await using plain = await startRegistry();
    await using secured = await startDockerRegistry({ tls: true });
    const config = await writeConfig(directory.path, {
      version: 1,
      registries: { [secured.host]: { plainHttp: true } },
    });
    const https = await tagferry(["tags", `${plain.host}/a/app`, "-c", config]);
    expect(https.stderr).toMatch(/REGISTRY_TLS .*it does not use TLS/);
    expect(https.stderr).toContain(`set \`plainHttp: true\` for ${plain.host}`);
    const http = await tagferry(["tags", `${secured.host}/a/app`, "-c", config]);
    expect(http.stderr).toMatch(/REGISTRY_TLS .*HTTP request to an HTTPS server/);
    expect(http.stderr).toContain(`remove \`plainHttp\` of ${secured.host}`);
  });
});

test.for([
  ["garbage: [", /line \d+: /],
  ["just text", /it names no cluster/],
  ["apiVersion: v1\nkind: Config\n", /it names no cluster/],
] as const)("a kubeconfig that is %j says why it cannot be used", async ([text, why]) => {
  await using directory = await temporaryDirectory();
  await writeConfig(directory.path, text, "kubeconfig");
  await writeConfig(directory.path, {
    version: 1,
    clusters: { here: { kubeconfigFile: "kubeconfig" } },
    mirrors: [{ source: `oci:${directory.path}`, target: "imagestream:web/b", tags: ["1"] }],
  });
  const { stdout, code } = await tagferry(["plan"], { cwd: directory.path });
  expect(stdout).toMatch(/CLUSTER_CONFIG/);
  expect(stdout).toMatch(why);
  expect(code).not.toBe(0);
});
