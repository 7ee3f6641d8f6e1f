import { TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { mapConcurrently } from "../../lib/limit.ts";
import { type Digest, shortDigest } from "../../oci/digest.ts";
import type { ImageSource, ListedTag } from "../../oci/store.ts";
import { inTagOrder } from "../../plan/tag-order.ts";
import { contextOf } from "../clients.ts";
import { EXIT } from "../exit-code.ts";
import { parseImageArgument } from "../image-argument.ts";
import type { CommonFlags, Process } from "../process.ts";
import { readConfigIfAny } from "../read-config.ts";
import { print } from "../terminal/output.ts";
import { table } from "../terminal/table.ts";

const RESOLVE_CONCURRENCY = 16;

type Row = {
  readonly tag: string;
  readonly digest?: Digest;
  readonly mediaType?: string;
  readonly pushedAt?: string;
};

/** Lists the tags of a repository or a layout with their digests. Where the listing has no digests, this costs one HEAD request per tag. */
export async function tagsCommand(
  repository: string,
  flags: CommonFlags & { readonly names?: boolean },
  process: Process,
): Promise<number> {
  const { location, tag, digest } = parseImageArgument(repository, process);
  if (tag !== undefined || digest !== undefined)
    throw new TagferryError("USAGE", `${repository} names one image`, {
      allowed: "a repository: registry/repository, or oci:DIR",
    });
  const config = await readConfigIfAny(flags, process);
  await using context = contextOf(config, flags, process);
  const source = await context.source(location);
  const listed = await Array.fromAsync(source.listing({ signal: process.signal }));
  const rows = inTagOrder(flags.names ? listed.map(rowOf) : await resolveAll(listed, source, process));
  await print(
    rows,
    () =>
      rows.length === 0
        ? `${source.name} has no tags`
        : table(rows.map((row) => [row.tag, ...(flags.names ? [] : factsOf(row))])),
    flags,
    process,
  );
  return EXIT.done;
}

function factsOf({ digest, pushedAt }: Row): readonly string[] {
  return [digest === undefined ? "" : shortDigest(digest), pushedAt ?? ""];
}

function rowOf({ tag, image, pushedAt }: ListedTag): Row {
  return {
    tag,
    ...(image ? { digest: image.digest, mediaType: image.mediaType } : {}),
    ...(pushedAt === undefined ? {} : { pushedAt }),
  };
}

async function resolveAll(
  listed: readonly ListedTag[],
  source: ImageSource,
  { signal }: Cancellable,
): Promise<readonly Row[]> {
  const rows = new Map<string, Row>();
  const resolve = async (one: ListedTag): Promise<void> => {
    const image = one.image ?? (await source.resolve(one.tag, { signal }));
    if (image) rows.set(one.tag, rowOf({ ...one, image }));
  };
  for await (const _ of mapConcurrently(listed, RESOLVE_CONCURRENCY, resolve));
  return listed.flatMap(({ tag }) => rows.get(tag) ?? []);
}
