// Plain JavaScript for any Node: brings what the tests need, or says exactly what is missing.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  console.error(
    `tagferry needs Node >= 24.12, this is ${process.versions.node}.\n` +
      "Run `npm ci`: it brings Node 24 into node_modules, and `npm test` then uses it.",
  );
  process.exit(3);
}

/** Each program the tests run, with the Debian package that has it. */
const PROGRAMS = [
  ["chromium", "chromium"],
  ["docker-registry", "docker-registry"],
  ["redis-server", "redis-server"],
  ["skopeo", "skopeo"],
  ["openssl", "openssl"],
];

const has = (program) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
const missing = PROGRAMS.filter(([program]) => !has(program)).map(([, debian]) => debian);
if (missing.length > 0) {
  const command = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  const debian = existsSync("/etc/debian_version") && readFileSync("/etc/debian_version", "utf8");
  if (!debian || process.getuid?.() !== 0) {
    console.error(
      `The tests need ${missing.join(", ")}. Install them, on Debian as root with:\n  ${command}`,
    );
    process.exit(3);
  }
  console.error(`installing ${missing.join(", ")} …`);
  const { status } = spawnSync("sh", ["-c", command], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  const still = PROGRAMS.filter(([program]) => !has(program)).map(([program]) => program);
  if (status !== 0 || still.length > 0) {
    console.error(`Could not install ${still.join(", ") || missing.join(", ")}. Run:\n  ${command}`);
    process.exit(3);
  }
}
