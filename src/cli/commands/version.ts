import { arch, platform, release } from "node:os";

import type { CommonFlags, Process } from "../process.ts";
import { print } from "../terminal/output.ts";
import { VERSION } from "../version.ts";

/** Prints the versions that a bug report needs. */
export async function versionCommand(
  flags: Pick<CommonFlags, "output">,
  process: Pick<Process, "stdout" | "nodeVersion">,
): Promise<void> {
  const record = {
    tagferry: VERSION,
    node: process.nodeVersion.replace(/^v/, ""),
    platform: `${platform()}/${arch()}`,
    kernel: release(),
  };
  const text = (): string =>
    `tagferry ${record.tagferry} (Node ${record.node}, ${record.platform}, kernel ${record.kernel})`;
  await print(record, text, flags, process);
}
