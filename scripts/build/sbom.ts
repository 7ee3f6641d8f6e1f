import type { BundledPackage, Contents } from "./packages.ts";

/** A component of CycloneDX 1.6, as far as it is used here. */
export type Component = {
  readonly type: "library" | "application" | "platform" | "operating-system" | "container";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly licenses?: readonly { readonly expression: string }[];
  readonly hashes?: readonly { readonly alg: "SHA-256" | "SHA-512"; readonly content: string }[];
};

export type Sbom = {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
};

/** Without a time and a serial number: one checkout makes one SBOM. */
export function sbomOf(program: Component, { packages, direct }: Contents): Sbom {
  const refs = new Map(packages.map((one) => [one.path, refOf(one)]));
  const refsOf = (paths: readonly string[]): string[] => paths.flatMap((path) => refs.get(path) ?? []);
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: program },
    components: packages.map(componentOf),
    dependencies: [
      { ref: program["bom-ref"], dependsOn: refsOf(direct) },
      ...packages.map((one) => ({ ref: refOf(one), dependsOn: refsOf(one.imports) })),
    ],
  };
}

/** Tagferry itself. */
export function programComponent(version: string): Component {
  return {
    type: "application",
    "bom-ref": `pkg:npm/tagferry@${version}`,
    name: "tagferry",
    version,
    purl: `pkg:npm/tagferry@${version}`,
    licenses: [{ expression: "Apache-2.0" }],
  };
}

function componentOf(one: BundledPackage): Component {
  const { name, version, license, integrity } = one;
  return {
    type: "library",
    "bom-ref": refOf(one),
    name,
    version,
    purl: purlOf(one),
    licenses: [{ expression: license }],
    hashes: [{ alg: "SHA-512", content: sha512Of(integrity) }],
  };
}

/** Its path: one version may stand in two places. */
function refOf({ path, version }: BundledPackage): string {
  return `${path}@${version}`;
}

/** https://github.com/package-url/purl-spec: the scope is a namespace, its `@` percent-encoded. */
function purlOf({ name, version }: BundledPackage): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function sha512Of(integrity: string): string {
  const [, base64] = /^sha512-(.+)$/.exec(integrity) ?? [];
  if (base64 === undefined) throw new Error(`"${integrity}" is no SHA-512`);
  return Buffer.from(base64, "base64").toString("hex");
}
