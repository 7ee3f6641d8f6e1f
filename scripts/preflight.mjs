// Plain JavaScript for any Node: brings what the tests need, or says exactly what is missing.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

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

/** What apt-get says when another program, such as unattended-upgrades, holds one of its locks. */
const LOCKED = /Could not get lock|Unable to (?:lock|acquire)|is another process using it/;
const LOCK_WAIT_MS = 2_000;
const LOCK_ATTEMPTS = 300;

/** Runs apt-get. While another program uses it, waits and tries again, for ten minutes at most. */
async function install(command) {
  for (let attempt = 1; ; attempt += 1) {
    const { status, stderr = "" } = spawnSync("sh", ["-c", command], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      encoding: "utf8",
    });
    if (status === 0 || !LOCKED.test(stderr) || attempt === LOCK_ATTEMPTS) {
      console.error(stderr.trim());
      return status;
    }
    if (attempt === 1) console.error("another program uses apt-get: waiting until it has finished");
    await setTimeout(LOCK_WAIT_MS);
  }
}

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
  console.error(`installing ${missing.join(", ")}`);
  const status = await install(command);
  const still = PROGRAMS.filter(([program]) => !has(program)).map(([program]) => program);
  if (status !== 0 || still.length > 0) {
    console.error(`Could not install ${still.join(", ") || missing.join(", ")}. Run:\n  ${command}`);
    process.exit(3);
  }
}
