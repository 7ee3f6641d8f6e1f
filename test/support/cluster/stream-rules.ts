import { type FieldProblem, invalid } from "./failure.ts";
import { type ImageStream, type SpecTag, specTag } from "./objects.ts";
import type { StreamContext } from "./stream-shape.ts";

const STREAM_NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/;

/** Of any Kubernetes object. @see apimachinery, validation.TotalAnnotationSizeLimitB */
const ANNOTATIONS_BYTES = 256 * 1024;

const KINDS = ["DockerImage", "ImageStreamTag", "ImageStreamImage"];

export function validate(stream: ImageStream, old: ImageStream | undefined, context: StreamContext): void {
  const { name } = stream.metadata;
  const problems: FieldProblem[] = [];
  if (!STREAM_NAME.test(name) || `${stream.metadata.namespace}/${name}`.length > 255)
    problems.push({
      field: "metadata.name",
      reason: "FieldValueInvalid",
      message: `Invalid value: "${name}": may not contain anything but lower case alphanumerics with single separators`,
    });
  const annotations = Object.entries(stream.metadata.annotations ?? {});
  if (annotations.reduce((sum, [key, text]) => sum + key.length + text.length, 0) > ANNOTATIONS_BYTES)
    problems.push({
      field: "metadata.annotations",
      reason: "FieldValueInvalid",
      message: `Too long: must have at most ${ANNOTATIONS_BYTES} bytes`,
    });
  const seen = new Set<string>();
  for (const tag of stream.spec.tags ?? []) {
    const field = `spec.tags[${tag.name}]`;
    if (seen.has(tag.name))
      problems.push({ field, reason: "FieldValueDuplicate", message: `Duplicate value: "${tag.name}"` });
    seen.add(tag.name);
    const before = old && specTag(old, tag.name);
    problems.push(...tagProblems(tag, field, before, context));
  }
  if (problems.length > 0) throw invalid("ImageStream", name, problems);
}

function tagProblems(
  tag: SpecTag,
  field: string,
  before: SpecTag | undefined,
  { allowedRegistries }: StreamContext,
): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const bad = (at: string, reason: FieldProblem["reason"], message: string): void => {
    problems.push({ field: `${field}.${at}`, reason, message });
  };
  const { from, importPolicy, referencePolicy } = tag;
  if (from && !KINDS.includes(from.kind))
    bad(
      "from.kind",
      "FieldValueInvalid",
      `Invalid value: "${from.kind}": valid values are ${KINDS.join(", ")}`,
    );
  if (from?.name === "") bad("from.name", "FieldValueRequired", "Required value");
  if (importPolicy.scheduled && from?.kind !== "DockerImage")
    bad(
      "importPolicy.scheduled",
      "FieldValueInvalid",
      "Invalid value: true: only tags pointing to a DockerImage may be scheduled",
    );
  if (!["Legacy", "PreserveOriginal"].includes(importPolicy.importMode ?? ""))
    bad("importPolicy.importMode", "FieldValueInvalid", `Invalid value: "${importPolicy.importMode}"`);
  if (!["Source", "Local"].includes(referencePolicy.type))
    bad("referencePolicy.type", "FieldValueInvalid", `Invalid value: "${referencePolicy.type}"`);
  if (from?.kind === "DockerImage" && from.name !== before?.from?.name) {
    const why = whitelistProblem(from.name, allowedRegistries);
    if (why !== undefined) bad("from.name", "FieldValueForbidden", why);
  }
  return problems;
}

/** undefined: may be imported. */
export function whitelistProblem(
  reference: string,
  allowed: readonly string[] | undefined,
): string | undefined {
  if (!allowed) return undefined;
  const host = registryOf(reference);
  const fits = allowed.some((entry) =>
    entry.startsWith("*.") ? host.endsWith(entry.slice(1)) : host === entry,
  );
  return fits
    ? undefined
    : `Forbidden: registry "${host}" not allowed by whitelist: ${allowed.map((entry) => `"${entry}"`).join(", ")}`;
}

/** The host of a reference, by Docker's rule. */
export function registryOf(reference: string): string {
  const [first = "", ...rest] = reference.split("/");
  return rest.length > 0 && (/[.:]/.test(first) || first === "localhost") ? first : "docker.io";
}
