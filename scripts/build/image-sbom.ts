import type { Component, Sbom } from "./sbom.ts";

type ImageFacts = {
  readonly name: string;
  readonly version: string;
  /** Of its configuration, hexadecimal. */
  readonly sha256: string;
  /** Its /var/lib/dpkg/status. */
  readonly dpkg: string;
  /** Its /etc/os-release. */
  readonly osRelease: string;
  readonly node: string;
};

/** What is in an image: the packages of its Debian, its Node, and the program with what is bundled with it. */
export function imageSbom(facts: ImageFacts, program: Sbom): Sbom {
  const image: Component = {
    type: "container",
    "bom-ref": facts.name,
    name: facts.name,
    version: facts.version,
    hashes: [{ alg: "SHA-256", content: facts.sha256 }],
  };
  const distribution = fieldsOf(facts.osRelease.replaceAll("=", ": ").replaceAll('"', ""));
  const packages = debianPackages(facts.dpkg, `${distribution.get("ID")}-${distribution.get("VERSION_ID")}`);
  const own = [nodeComponent(facts.node), program.metadata.component];
  return {
    ...program,
    metadata: { component: image },
    components: [...packages, ...own, ...program.components],
    dependencies: [
      { ref: facts.name, dependsOn: [...packages, ...own].map((one) => one["bom-ref"]) },
      ...program.dependencies,
    ],
  };
}

function nodeComponent(version: string): Component {
  const purl = `pkg:generic/node@${version}`;
  return {
    type: "platform",
    "bom-ref": purl,
    name: "node",
    version,
    purl,
    licenses: [{ expression: "MIT" }],
  };
}

/** The installed ones of dpkg's status file (deb-control(5): paragraphs of fields, separated by empty lines). */
function debianPackages(status: string, distribution: string): Component[] {
  return status
    .split("\n\n")
    .map(fieldsOf)
    .filter((fields) => fields.get("Status") === "install ok installed")
    .map((fields) => {
      const [name = "", version = ""] = ["Package", "Version"].map((key) => fields.get(key));
      const query = `arch=${fields.get("Architecture")}&distro=${distribution}`;
      const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?${query}`;
      return { type: "library", "bom-ref": purl, name, version, purl };
    });
}

function fieldsOf(paragraph: string): ReadonlyMap<string, string> {
  return new Map(
    paragraph.split("\n").flatMap((line) => {
      const colon = line.indexOf(": ");
      return colon === -1 || line.startsWith(" ")
        ? []
        : [[line.slice(0, colon), line.slice(colon + 2)] as const];
    }),
  );
}
