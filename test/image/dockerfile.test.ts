import { existsSync, readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { SOURCES } from "../../scripts/build/fingerprint.ts";
import { COPIED } from "../../scripts/build/installation.ts";

const root = new URL("../..", import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${root}${path}`, "utf8");

type Instruction = { readonly name: string; readonly text: string };
type Stage = readonly Instruction[];

/** The part before the first FROM, then the stages. */
function stagesOf(dockerfile: string): readonly Stage[] {
  const lines = dockerfile
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\\\n/g, "")
    .split("\n");
  const stages: Instruction[][] = [[]];
  for (const line of lines) {
    const [, name = "", text = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === "") {
      expect(line.trim(), "a line that is no instruction").toBe("");
      continue;
    }
    if (name === "FROM") stages.push([]);
    stages.at(-1)?.push({ name, text });
  }
  return stages;
}

const dockerfile = read("Dockerfile");
const [head = [], build = [], final = [], ...more] = stagesOf(dockerfile);
const texts = (stage: Stage, name: string): string[] =>
  stage.filter((instruction) => instruction.name === name).map(({ text }) => text);

/** Docker's rule: the last pattern that matches the path, or a folder above it, decides. */
function isIgnored(path: string): boolean {
  const parts = path.split("/");
  const andAbove = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  const patterns = read(".dockerignore")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const last = patterns.findLast((line) => {
    const pattern = line
      .replace(/^!/, "")
      .split("*")
      .map((part) => RegExp.escape(part))
      .join("[^/]*");
    return andAbove.some((above) => new RegExp(`^${pattern}$`).test(above));
  });
  return last !== undefined && !last.startsWith("!");
}

test("names the base's digest in a label, and says how to pin it", () => {
  expect(texts(final, "LABEL").join()).toContain('org.opencontainers.image.base.digest="${BASE_DIGEST}"');
  expect(dockerfile).toMatch(/^# --build-arg BASE=\S+@sha256:/m);
});

test("builds in one stage, ships another, and both stand on the base that is chosen", () => {
  expect(more).toEqual([]);
  expect(texts(head, "ARG")).toEqual(["BASE=docker.io/library/debian:bookworm-slim"]);
  expect(texts(build, "FROM")).toEqual(["${BASE} AS build"]);
  expect(texts(final, "FROM")).toEqual(["${BASE}"]);
});

describe("the final stage", () => {
  test("only copies from the build stage and says how to run: nothing is installed, nothing is run", () => {
    expect(texts(final, "RUN")).toEqual([]);
    expect(texts(final, "ADD")).toEqual([]);
    const copies = texts(final, "COPY");
    expect(copies.length).toBeGreaterThan(0);
    expect(copies.filter((text) => !text.startsWith("--from=build /out/"))).toEqual([]);
  });

  test("never runs as root, and leaves the UID to the cluster: group 0, a number, no name", () => {
    expect(texts(final, "USER")).toEqual(["1001:0"]);
  });

  test("starts the daemon as process 1, and ends it with SIGTERM", () => {
    expect(texts(final, "ENTRYPOINT")).toEqual(['["/app/bin/tagferry"]']);
    expect(texts(final, "CMD")).toEqual(['["serve"]']);
    expect(texts(final, "STOPSIGNAL")).toEqual(["SIGTERM"]);
    expect(texts(final, "EXPOSE")).toEqual(["8080"]);
    expect(texts(final, "HEALTHCHECK").join()).toMatch(/CMD \["\/app\/bin\/tagferry", "status", "--live"\]$/);
    // bin/tagferry must exec node; otherwise a shell would get the signals
    expect(read("bin/tagferry")).toMatch(/^exec "\$node"/m);
  });

  test("writes nothing: what V8 compiled is in the image, for any UID", () => {
    const env = Object.fromEntries(
      texts(final, "ENV")
        .join(" ")
        .split(/\s+/)
        .map((pair) => pair.split("=")),
    ) as Record<string, string>;
    expect(env).toEqual({
      HOME: "/tmp",
      TAGFERRY_CONFIG: "/etc/tagferry/tagferry.yaml",
    });
    expect(texts(final, "VOLUME")).toEqual([]);
    expect(texts(final, "COPY").at(-1)).toBe("--from=build /out/compiled /app/dist/cache");
  });

  test("puts node where bin/tagferry looks first", () => {
    expect(dockerfile).toContain("ln -s /usr/local/bin/node /out/app/node_modules/.bin/node");
    expect(read("bin/tagferry")).toContain("node=$home/node_modules/.bin/node");
  });
});

describe("the build stage", () => {
  test("installs what the lockfile says, and runs no script of a package", () => {
    const npm = [
      ...texts(build, "RUN")
        .join("\n")
        .matchAll(/\bnpm (ci|install|i|add|exec|run|update)\b[^&\n]*/g),
    ].map(([text]) => text);
    expect(npm.length).toBe(2);
    for (const command of npm) expect(command).toMatch(/^npm ci --ignore-scripts /);
    expect(dockerfile).not.toMatch(/\bnpx\b|\bcurl\b|\bwget\b/);
  });

  test("takes the Node of the lockfile, with its checksum, new enough for the program, for both processors", () => {
    const { packages } = JSON.parse(read("package-lock.json")) as {
      packages: Record<string, { version?: string; integrity?: string }>;
    };
    for (const arch of ["x64", "arm64"]) {
      const { version = "", integrity } = packages[`node_modules/node-linux-${arch}`] ?? {};
      const [major = 0, minor = 0] = version.split(".").map(Number);
      expect(major > 24 || (major === 24 && minor >= 12), version).toBe(true);
      expect(integrity).toMatch(/^sha512-/);
    }
  });

  test("makes every file root's and readable, last of all", () => {
    expect(build.at(-1)).toEqual({ name: "RUN", text: "chown -R 0:0 /out && chmod -R u=rwX,go=rX /out" });
  });

  const sources = texts(build, "COPY").flatMap((text) => text.split(/\s+/).slice(0, -1));

  test.for(sources)("copies %s, which exists and which .dockerignore lets through", (path) => {
    expect(existsSync(`${root}${path}`)).toBe(true);
    expect(isIgnored(path)).toBe(false);
  });

  test("copies everything the program is made of, and builds it on the Node that will run it", () => {
    expect(sources).toEqual(expect.arrayContaining([...SOURCES, ...COPIED]));
    expect(dockerfile).toMatch(/^RUN \/out\/usr\/local\/bin\/node scripts\/build\.ts --into \/out\/app /m);
  });
});

test.for([
  ".git/config",
  ".ci/run",
  ".npmrc",
  ".env",
  "test/docs.test.ts",
  "scripts/image.ts",
  "bench/bench.ts",
  "demo/demo.ts",
  "docs/image.md",
  "node_modules/yaml/package.json",
  "dist/main.cjs",
  "release/tagferry.tgz",
  "tagferry.yaml",
  "Dockerfile",
  "anything-new/secret.txt",
])("%s never reaches a build", (path) => {
  expect(isIgnored(path)).toBe(true);
});

test("names no proxy, no registry for packages, no password and no token", () => {
  expect(dockerfile).not.toMatch(/https?:\/\/|proxy|_auth|password|token/i);
  for (const stage of [head, build, final])
    expect([...texts(stage, "ARG"), ...texts(stage, "ENV")].join("\n")).not.toMatch(
      /secret|npmrc|registry|ca=/i,
    );
  // a mounted secret is in no layer
  expect(dockerfile.match(/type=secret,id=\w+/g)).toEqual(["type=secret,id=npmrc", "type=secret,id=ca"]);
});
