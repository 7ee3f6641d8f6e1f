import { parseSize } from "../../config/size.ts";
import { copyImage } from "../../copy/copy.ts";
import { TagferryError } from "../../errors/error.ts";
import { shortDigest } from "../../oci/digest.ts";
import { parsePlatform } from "../../oci/platform.ts";
import { formatLocation } from "../../oci/reference.ts";
import { contextOf } from "../clients.ts";
import { EXIT } from "../exit-code.ts";
import { type ImageArgument, parseImageArgument, parseTargetArgument } from "../image-argument.ts";
import type { CommonFlags, Process } from "../process.ts";
import { showCopyProgress } from "../progress/show-progress.ts";
import { readConfigIfAny } from "../read-config.ts";
import { plural } from "../terminal/mirror-text.ts";
import { print } from "../terminal/output.ts";
import { blobCounts } from "../terminal/report-text.ts";
import { formatBytes } from "../terminal/units.ts";

export type CopyFlags = CommonFlags & {
  readonly platform?: readonly string[];
  readonly referrers: boolean;
  readonly maxImageSize: string;
};
type Arguments = { readonly source: string; readonly target: string };

/** Copies one image, with its signatures and other referrers. */
export async function copyCommand(texts: Arguments, flags: CopyFlags, process: Process): Promise<number> {
  const from = parseImageArgument(texts.source, process);
  const to = parseTargetArgument(texts.target, process);
  if (to.digest !== undefined)
    throw new TagferryError("USAGE", `the target ${texts.target} has a digest`, {
      allowed: "a tag, or no tag: then the tag of the source is used",
    });
  const platforms = flags.platform?.map(parsePlatform);
  const maxBytes = parseMaxImageSize(flags.maxImageSize);
  const config = await readConfigIfAny(flags, process);
  await using context = contextOf(config, flags, process);
  const { signal } = process;
  const source = await context.source(from.location);
  const target = await context.target(to.location);
  const reference = from.digest ?? from.tag ?? "latest";
  const image = await source.resolve(reference, { signal });
  if (!image)
    throw new TagferryError("MANIFEST_UNKNOWN", `${source.name} has no ${reference}`, {
      where: texts.source,
    });
  const tag = to.tag ?? from.tag ?? (from.digest === undefined ? "latest" : undefined);
  const moved = await (async () => {
    using progress = showCopyProgress(texts.target, flags, process);
    const copying = copyImage(image, source, target, {
      ...(tag === undefined ? {} : { tag }),
      ...(platforms ? { platforms } : {}),
      referrers: flags.referrers,
      maxBytes,
      lease: context.lease,
      memory: context.memory,
      signal,
    });
    for (let step = await copying.next(); ; step = await copying.next()) {
      if (step.done) return step.value;
      progress.event(step.value);
    }
  })();
  const record = {
    source: formatImage(from, reference),
    target: formatImage(to, tag ?? image.digest),
    digest: image.digest,
    moved,
  };
  const { blobs, referrers, bytes } = moved;
  await print(
    record,
    () =>
      `${record.target}  ${shortDigest(image.digest)}\n` +
      `${blobCounts(blobs)}; ${plural(referrers, "referrer")}; ${formatBytes(bytes)}`,
    flags,
    process,
  );
  return EXIT.done;
}

/** @throws {TagferryError} USAGE */
function parseMaxImageSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new TagferryError("USAGE", `--max-image-size ${text} is not the size of an image`, {
    found: text,
    allowed: "a number and a unit: 500MiB, 100GiB, 2TiB",
    next: "Write a number and a unit, such as --max-image-size 100GiB.",
  });
}

function formatImage({ location }: ImageArgument, reference: string): string {
  return `${formatLocation(location)}${reference.includes(":") ? "@" : ":"}${reference}`;
}
