import { mkdir, writeFile } from "node:fs/promises";
import { stripVTControlCharacters } from "node:util";

import { startCluster } from "../test/support/cluster/cluster.ts";
import { buildImage, pushTo } from "../test/support/images/images.ts";
import { drip } from "../test/support/registry/connection-faults.ts";
import { startRegistry } from "../test/support/registry/registry.ts";
import { startServe } from "../test/support/tagferry.ts";
import { temporaryDirectory } from "../test/support/temporary.ts";
import { frames, inTerminal } from "../test/support/terminal.ts";

// Writes docs/terminal.md: what commands show in a terminal of 80 columns. `npm run recordings`

await using directory = await temporaryDirectory();
await using source = await startRegistry({ behaviour: { mount: "never" } });
await using cluster = await startCluster({ namespaces: ["web"] });
const kubeconfigFile = await cluster.writeKubeconfig(directory.path);
for (const tag of ["1.27.9", "1.27.10", "1.28.0-rc1", "1.26.2", "latest"])
  await pushTo(source, "library/nginx", buildImage({ seed: tag, layers: [9_000_000, 2_000_000] }), tag);
source.on({ method: "GET", kind: "blob", always: true }, drip({ bytes: 256 * 1024, intervalMs: 50 }));

let url = "http://127.0.0.1:8080";

/** Addresses of this machine become names of the same length or less. */
function named(text: string): string {
  return text
    .replaceAll(source.host, "quay.example")
    .replaceAll(cluster.registryHost, "cluster.example")
    .replaceAll(url, "http://127.0.0.1:8080")
    .replaceAll("127.0.0.1…", "quay.exam…")
    .replaceAll(`${directory.path}/`, "");
}

async function write(name: string, text: string): Promise<void> {
  await writeFile(directory.join(name), text);
}

const REGISTRIES = { [source.host]: { plainHttp: true }, [cluster.registryHost]: { plainHttp: true } };
await write(
  "tagferry.yaml",
  JSON.stringify({
    version: 1,
    registries: REGISTRIES,
    clusters: { here: { kubeconfigFile, registry: cluster.registryHost, owner: "docs" } },
    defaults: { schedule: "*/30 * * * *" },
    mirrors: [
      {
        name: "nginx",
        source: `${source.host}/library/nginx`,
        target: "imagestream:web/nginx",
        tags: { semver: "1.27.x" },
      },
      {
        name: "app",
        source: `${source.host}/library/nginx`,
        target: `${source.host}/mirror/nginx`,
        tags: ["latest", "stable"],
      },
    ],
  }),
);

const parts: string[] = [];

async function record(
  args: readonly string[],
  options: Parameters<typeof inTerminal>[1] = {},
): Promise<void> {
  const { output, code } = await inTerminal(args, {
    cwd: directory.path,
    env: { HOME: directory.path },
    ...options,
  });
  const bars = frames(output)
    .filter((frame) => frame.some((line) => /━─.*\/s/.test(line)))
    .toSorted((one, other) => other.length - one.length)[0];
  // what stays after the last redraw
  const rest = output.replaceAll("\r\n", "\n").split("\u001b[J").at(-1) ?? "";
  const shown = [...(bars ? [...bars, "(then)"] : []), stripVTControlCharacters(rest).replaceAll("\r", "")];
  const words = args.map((word) => (/[\s<>*{}|]/.test(word) ? `'${word}'` : word)).join(" ");
  parts.push(named(`$ tagferry ${words}\n${shown.join("\n").trimEnd()}\n(exit code ${code})`));
}

function section(title: string, text = ""): void {
  parts.push(`## ${title}${text === "" ? "" : `\n\n${text}`}`);
}

section("A first file");
const answers = ["docker.io/library/nginx\n", "\n", ">=1.27 <2\n"];
await record(["init", "first.yaml"], {
  onOutput: (soFar, type) => {
    const asked = soFar.split("] ").length - 1;
    if (asked > 3 - answers.length) type(answers.shift() ?? "");
  },
});
section("What sync would do");
await record(["plan"]);
await record(["plan", "nginx", "--explain"]);
await record(["plan", "nginx", "-o", "markdown"]);
section("Sync", "While bytes move, each image has a bar.");
await record(["sync"]);
await record(["sync", "nginx"]);
section("The state of a daemon");
const daemon = await startServe(["-c", directory.join("tagferry.yaml"), "--listen", "127.0.0.1:0"]);
({ url } = daemon);
for (const name of ["nginx", "app"])
  await fetch(`${url}/api/v1/mirrors/${name}/sync`, { method: "POST", headers: { origin: url } });
for (let settled = false; !settled;) {
  const { output } = await inTerminal(["status", "--url", url, "-o", "json"], { cwd: directory.path });
  settled = /"fresh"/.test(output) && /"failing"/.test(output);
}
await record(["status", "--url", url]);
await record(["status", "nginx", "--url", url]);
daemon.child.kill("SIGKILL");

section("Ten wrong inputs", "What was found, what is allowed, and what to do next.");
await mkdir(directory.join("wrong"));
const MIRROR = `mirrors:\n  - source: quay.io/team/app\n    target: imagestream:web/app\n    tags: [latest]\n`;
const WRONG: Readonly<Record<string, string>> = {
  "misspelt.yaml": `version: 1\n${MIRROR.replace("source", "sorce")}`,
  "host.yaml": `version: 1\n${MIRROR.replace("imagestream:web/app", "web/secret-app")}`,
  "glob.yaml": `version: 1\n${MIRROR.replace("[latest]", '["1.*"]')}`,
  "quote.yaml": `version: 1\n${MIRROR.replace("quay.io/team/app", '"quay.io/team/app')}`,
  "variable.yaml": `version: 1\n${MIRROR.replace("quay.io", "${HUB}")}`,
  "number.yaml": `version: 1\n${MIRROR.replace("[latest]", "[1.10]")}`,
};
for (const [name, text] of Object.entries(WRONG)) {
  await write(`wrong/${name}`, text);
  await record(["validate", `wrong/${name}`]);
}
await record(["status", "--url", "nope:8080"]);
await record(["copy", "quay.io/team/app:1", "imagestream:web/app:1"]);
await record(["help", "snyc"]);
await record(["tags", `${source.host}/library/nginx`, "-c", "wrong/none.yaml"]);

const text = parts.map((part) => (part.startsWith("## ") ? part : `\`\`\`\n${part}\n\`\`\``)).join("\n\n");
const page = `# In the terminal

What commands show in a terminal of 80 columns. \`npm run recordings\` writes this page by running them.

${text}
`;
await writeFile(new URL("../docs/terminal.md", import.meta.url), page);
