import { isTagferryError, type TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { LayoutIndex } from "./index-file.ts";

/** How the manifests of a layout refer to each other. */
export type ManifestLinks = {
  /** By the digest of the subject, in the order of the index. */
  readonly referrers: ReadonlyMap<Digest, readonly Descriptor[]>;
  /** Manifests that an index lists. */
  readonly listed: ReadonlySet<Digest>;
  /**
   * Why a manifest without a tag could not be read. It may be a referrer of any image. A damaged image with a tag is
   * reported when its tag is read, and must not block the other images.
   */
  readonly damage: TagferryError | undefined;
};

type Facts = Pick<Manifest, "children" | "subject"> & { readonly descriptor: Descriptor };

/** Reads the manifest of a descriptor; undefined when it is not there. */
export type ReadManifest = (descriptor: Descriptor) => Promise<Manifest | undefined>;

/** Reads the links. Every manifest is read only once, because the content of a digest never changes. */
export function linksReader(read: ReadManifest): (index: LayoutIndex) => Promise<ManifestLinks> {
  const known = new Map<Digest, Facts>();
  let latest: { readonly index: LayoutIndex; readonly links: Promise<ManifestLinks> } | undefined;

  async function factsOf(descriptor: Descriptor): Promise<Facts | undefined> {
    const facts = known.get(descriptor.digest);
    if (facts) return facts;
    const manifest = await read(descriptor);
    if (!manifest) return undefined;
    const { children, subject } = manifest;
    const found = { children, ...(subject ? { subject } : {}), descriptor: referrerDescriptor(manifest) };
    known.set(descriptor.digest, found);
    return found;
  }

  async function walk({ entries }: LayoutIndex): Promise<ManifestLinks> {
    const referrers = new Map<Digest, Descriptor[]>();
    const listed = new Set<Digest>();
    const seen = new Set<Digest>();
    let damage: TagferryError | undefined;
    const visit = async (descriptor: Descriptor, { named }: { readonly named: boolean }): Promise<void> => {
      if (seen.has(descriptor.digest)) return;
      seen.add(descriptor.digest);
      const facts = await factsOf(descriptor).catch((error: unknown) => {
        if (!isTagferryError(error)) throw error;
        if (!named) damage ??= error;
        return undefined;
      });
      if (!facts) return;
      const { subject, children } = facts;
      if (subject)
        referrers.set(subject.digest, [...(referrers.get(subject.digest) ?? []), facts.descriptor]);
      for (const child of children) {
        listed.add(child.digest);
        await visit(child, { named });
      }
    };
    for (const { descriptor, name } of entries) await visit(descriptor, { named: name !== undefined });
    return { referrers, listed, damage };
  }

  return (index) => {
    if (latest?.index === index) return latest.links;
    const links = walk(index);
    latest = { index, links };
    const forget = (): void => {
      latest = undefined; // the file may be mended, and the index stays the same
    };
    links.then(({ damage }) => damage && forget(), forget);
    return links;
  };
}

/**
 * As an index of referrers lists it. @see
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
function referrerDescriptor({ descriptor, artifactType, config, annotations }: Manifest): Descriptor {
  const type = artifactType ?? config?.mediaType;
  return {
    ...descriptor,
    ...(type === undefined ? {} : { artifactType: type }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}
