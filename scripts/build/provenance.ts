import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** A file or an image, with its digest. */
export type Subject = { readonly name: string; readonly digest: { readonly sha256: string } };

/** Where the sources came from. */
export type Revision = {
  /** The commit, or `unknown` outside of a checkout. */
  readonly commit: string;
  /** Whether the checkout had changes that no commit has. */
  readonly changed: boolean;
};

/** What a build starts from, besides the sources and the packages of the lock file. */
export type Material = { readonly uri: string; readonly digest?: Readonly<Record<string, string>> };

/** An in-toto statement with a provenance of SLSA 1.0: https://slsa.dev/spec/v1.0/provenance. */
export type Provenance = {
  readonly _type: "https://in-toto.io/Statement/v1";
  readonly subject: readonly Subject[];
  readonly predicateType: "https://slsa.dev/provenance/v1";
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: string;
      readonly externalParameters: Readonly<Record<string, unknown>>;
      readonly resolvedDependencies: readonly Material[];
    };
    readonly runDetails: { readonly builder: { readonly id: string } };
  };
};

const SOURCES = "urn:tagferry:source";
const BUILD_TYPE = "urn:tagferry:build:1";

type ProvenanceOptions = {
  readonly root: string;
  /** What was built: `dist`, `package`, `image`. */
  readonly kind: string;
  readonly revision: Revision;
  readonly subjects: readonly Subject[];
  readonly materials?: readonly Material[];
};

/**
 * Says what was made from what. It is a statement of the build about itself: whoever needs more signs it where the build runs
 * (`cosign attest`), and sets TAGFERRY_BUILDER to the address of that place.
 */
export async function provenanceOf(options: ProvenanceOptions): Promise<Provenance> {
  const { root, kind, revision, subjects, materials = [] } = options;
  const lock = await readFile(join(root, "package-lock.json"));
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: subjects.toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { kind, changed: revision.changed },
        resolvedDependencies: [
          { uri: SOURCES, digest: { gitCommit: revision.commit } },
          { uri: "file:package-lock.json", digest: { sha256: sha256Of(lock) } },
          { uri: `pkg:generic/node@${process.versions.node}` },
          ...materials,
        ],
      },
      runDetails: { builder: { id: process.env["TAGFERRY_BUILDER"] ?? "urn:tagferry:builder:local" } },
    },
  };
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
