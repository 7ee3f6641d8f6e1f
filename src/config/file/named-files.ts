import { resolve } from "node:path";

/** Keys whose values are paths of files. The state file is not one of them: the daemon writes it. */
const isFileKey = (key: string): boolean =>
  key !== "stateFile" && (/files?$/i.test(key) || ["ca", "clientCertificate", "clientKey"].includes(key));

/** The absolute paths of all files that a configuration names: certificates, keys and secrets. */
export function namedFiles(value: unknown, directory: string): readonly string[] {
  const found = new Set<string>();
  const walk = (node: unknown, isFile: boolean): void => {
    if (typeof node === "string") {
      if (isFile) found.add(resolve(directory, node));
      return;
    }
    if (typeof node !== "object" || node === null) return;
    for (const [key, child] of Object.entries(node)) walk(child, isFile || isFileKey(key));
  };
  walk(value, false);
  return [...found];
}
