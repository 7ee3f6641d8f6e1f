import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";

import type { Plugin } from "rolldown";

const NO_MODELS = "\0no-models";

/** As `src/openshift/access/kubeconfig.ts` does when it runs from the source: client-node without the models of the whole API. */
export const CLIENT_NODE_MODELS: Plugin = {
  name: "client-node-models",
  resolveId(source, importer) {
    const isDropped = source.endsWith("/gen/index.js") && importer?.includes("/client-node/dist/") === true;
    return isDropped ? NO_MODELS : undefined;
  },
  load: (id) =>
    id === NO_MODELS
      ? "export const createConfiguration = undefined, ServerConfiguration = undefined;"
      : undefined,
};

const PARTS = "\0undici-parts";

/** What is imported of undici by its name, and the file it is in. */
const UNDICI_FILES: Readonly<Record<string, string>> = {
  Agent: "lib/dispatcher/agent.js",
  Pool: "lib/dispatcher/pool.js",
  ProxyAgent: "lib/dispatcher/proxy-agent.js",
  buildConnector: "lib/core/connect.js",
};

const undici = dirname(createRequire(import.meta.url).resolve("undici"));

/**
 * Of undici the four classes that are used, and what its index does to them. The rest (fetch, WebSocket, mocks, caches) costs
 * 15 ms of every command. A name that is missing here is an error of the build.
 */
export const UNDICI_PARTS: Plugin = {
  name: "undici-parts",
  resolveId(source, importer) {
    if (source !== "undici" || importer === undefined) return undefined;
    return importer.includes(`${sep}src${sep}`) || importer.includes("/client-node/dist/config")
      ? PARTS
      : undefined;
  },
  load(id) {
    if (id !== PARTS) return undefined;
    return [
      importOf("Dispatcher", "lib/dispatcher/dispatcher.js"),
      importOf("api", "lib/api/index.js"),
      ...Object.entries(UNDICI_FILES).map(([name, path]) => importOf(name, path)),
      "Object.assign(Dispatcher.prototype, api);",
      `export { ${Object.keys(UNDICI_FILES).join(", ")} };`,
    ].join("\n");
  },
};

function importOf(name: string, path: string): string {
  return `import ${name} from ${JSON.stringify(join(undici, path))};`;
}
