import { execFile } from "node:child_process";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

import { temporaryDirectory } from "../support/temporary.ts";

const run = promisify(execFile);
const SCRIPT = new URL("../../scripts/preflight.mjs", import.meta.url).pathname;
const PROGRAMS = "chromium docker-registry redis-server skopeo openssl";

type Ended = { readonly code: number; readonly said: string };

/** Runs the script on a machine that has none of the programs, and this text as its apt-get. */
async function preflight(aptGet: string): Promise<Ended> {
  await using directory = await temporaryDirectory();
  const bin = directory.join("bin");
  await mkdir(bin);
  for (const program of ["cat", "chmod", "touch"]) await symlink(`/bin/${program}`, `${bin}/${program}`);
  await writeFile(`${bin}/apt-get`, `#!/bin/sh\ncd ${directory.path}\n${aptGet}\n`);
  await chmod(`${bin}/apt-get`, 0o755);
  // the script looks for programs with /bin/sh, which is found without a PATH
  await symlink("/bin/sh", `${bin}/sh`);
  return await run(process.execPath, [SCRIPT], { env: { PATH: bin } }).then(
    ({ stderr }) => ({ code: 0, said: stderr }),
    (error: unknown) => {
      const { code, stderr } = error as { readonly code: number; readonly stderr: string };
      return { code, said: stderr };
    },
  );
}

const INSTALLS = `for program in ${PROGRAMS}; do touch bin/$program; chmod +x bin/$program; done`;
const LOCKED = `echo "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 99" >&2; exit 100`;

// the script installs only as root on Debian, and otherwise says what is missing
describe.runIf(process.getuid?.() === 0)("as root on Debian", () => {
  test("a package manager that is locked by another program is waited for", async () => {
    const ended = await preflight(`
[ -f seen ] || { touch seen; ${LOCKED}; }
[ "$1" = update ] || { ${INSTALLS}; }`);
    expect(ended).toEqual({ code: 0, said: expect.stringContaining("another program uses apt-get") });
  });

  test("another failure of the package manager ends it at once, with the command to run", async () => {
    const ended = await preflight(`echo "E: Unable to locate package skopeo" >&2; exit 100`);
    expect(ended.code).toBe(3);
    expect(ended.said).toContain("Unable to locate package");
    expect(ended.said).toContain("apt-get install");
    expect(ended.said).not.toContain("waiting");
  });
});
