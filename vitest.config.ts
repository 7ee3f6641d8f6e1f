import { tmpdir } from "node:os";
import { join } from "node:path";

import { defineConfig } from "vitest/config";

/** What needs the built form. */
const OF_THE_BUILD = ["test/build/built/**/*.test.ts"];
/** What drives bin/tagferry, and so runs in the built form as well: a part with each run, all with `npm run test:built`. */
const COMMANDS = ["command-line", "commands", "real-images"];
const TEXT_COMMANDS = ["image-commands", "init-command", "plan-command", "shell-commands", "status-command"];
const MORE_COMMANDS = [
  ...TEXT_COMMANDS,
  "contents",
  "credentials-stay-cli",
  "fleet-processes",
  "keys",
  "rights",
  "suspended-process",
  "terminal",
  "worker",
  "validate",
  "verify-command",
];
const commands = process.env["TAGFERRY_TESTS"] === "all" ? [...COMMANDS, ...MORE_COMMANDS] : COMMANDS;

export default defineConfig({
  test: {
    setupFiles: ["test/support/setup.ts"],
    // Real servers on a small machine: a test that waits longer than this hangs.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 5_000,
    reporters: ["default", "./test/support/closing-line.ts"],
    projects: [
      { extends: true, test: { name: "source", include: ["test/**/*.test.ts"], exclude: OF_THE_BUILD } },
      {
        extends: true,
        test: {
          name: "built",
          include: [...OF_THE_BUILD, ...commands.map((name) => `test/**/${name}.test.ts`)],
          globalSetup: ["test/support/built-form.ts"],
          // a directory of this run; the set-up makes the installation there
          env: { TAGFERRY_BIN: join(tmpdir(), `tagferry-built-${process.pid}`, "bin/tagferry") },
        },
      },
    ],
  },
});
