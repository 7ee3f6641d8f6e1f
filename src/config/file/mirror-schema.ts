import { z } from "zod";

import { flag, list, text } from "./fields.ts";

const exactTags = z
  .array(z.string())
  .min(1)
  .meta({
    description: "Exact tags. They need no listing of the source. `TAG@sha256:…` also pins the digest.",
    examples: [["latest", "2"]],
  });

export const tagRules = z
  .strictObject({
    all: z.literal(true).meta({ description: "Every tag." }).optional(),
    exact: list(z.string().min(1), "Exact tags.").optional(),
    glob: z
      .union([z.string(), z.array(z.string()).min(1)])
      .meta({ description: "Globs: `*`, `?`, `[a-z]`, `{a,b}`.", examples: ["1.*-alpine"] })
      .optional(),
    regex: z
      .union([z.string(), z.array(z.string()).min(1)])
      .meta({
        description: "Regular expressions in RE2 syntax that match the whole tag.",
        examples: ["v3\\.\\d+\\.\\d+"],
      })
      .optional(),
    semver: z
      .union([z.string(), z.array(z.string()).min(1)])
      .meta({
        description: "Version ranges. `1.27-alpine`, `v2.0` and `2024.01.05` are versions too.",
        examples: [">=1.25 <2"],
      })
      .optional(),
    exclude: z
      .union([z.string(), z.array(z.string()).min(1)])
      .meta({ description: "Globs of tags that are excluded.", examples: [["*-perl", "*-rc*"]] })
      .optional(),
    since: text(
      "Only tags that were pushed within this time. Where the registry does not tell the push date, the creation date of the image counts.",
      "90d",
    ).optional(),
    newest: z
      .int()
      .min(1)
      .max(100_000)
      .meta({
        description:
          "Number of newest tags to keep for each variant (for example, all tags with `-alpine` are one variant).",
      })
      .optional(),
    by: z
      .enum(["semver", "pushed", "name"])
      .meta({ description: "The order for `newest`.", default: "semver" })
      .optional(),
    max: z
      .int()
      .min(1)
      .max(1_000_000)
      .meta({ description: "If the rules select more tags than this, the mirror fails." })
      .optional(),
  })
  .meta({
    description:
      "The rules apply in this order: the union of all, exact, glob, regex and semver → exclude → since → newest → max.",
  });

const prune = z
  .strictObject({
    grace: text("How long a tag must be missing at the source before it is removed.", "7d"),
    atMost: z
      .union([z.string(), z.number()])
      .meta({
        description:
          "Safety limit: if one run would remove more than this share (or number) of the mirror's tags, it removes none.",
        default: "20%",
        examples: ["20%", 5],
      })
      .optional(),
  })
  .meta({
    description:
      "Remove tags that no longer exist at the source. Without this key, no tag is removed. Only tags that this mirror owns are removed, and nothing is removed after an empty or failed listing.",
  });

/** Also valid under `defaults`. */
const LABEL_KEY = /^[A-Za-z0-9][\w./-]{0,62}$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9][\w./-]{0,62})?$/;

export const mirrorKeys = {
  storage: text(
    "Where the image is stored when the target is an image stream: `integrated` (the integrated registry), `source` (not copied), or a repository such as harbor.corp.example/mirror/app.",
    "integrated",
    "source",
    "harbor.corp.example/mirror/app",
  ).optional(),
  tags: z.union([exactTags, tagRules]).optional(),
  platforms: z
    .array(z.string())
    .min(1)
    .meta({
      description:
        "Copy only these platforms. The index and its digest do not change. Without this key: all platforms.",
      examples: [["linux/amd64", "linux/arm64"]],
    })
    .optional(),
  referrers: flag("Copy signatures, SBOMs and attestations too. Default: true.").optional(),
  takeover: flag(
    "Take over tags of the stream that import from another registry, or that somebody pushed. Default: false.",
  ).optional(),
  referencePolicy: z
    .enum(["source", "local"])
    .meta({
      description:
        "For imported tags: pods pull from the registry that the tag points to (`source`), or through the integrated registry (`local`). Existing tags keep their policy.",
      default: "source",
    })
    .optional(),
  prune: prune.optional(),
  deadline: text(
    "How long one check of the mirror may take (copying not counted). After that the check fails, and the next one begins anew. Default: 10m.",
    "10m",
  ).optional(),
  verifyEvery: text(
    "How often Tagferry checks that all manifests and blobs of a published tag are still at the target. What is missing is copied again. Default: 24h.",
    "24h",
  ).optional(),
  maxImageSize: text(
    "Maximum size of one image: all its manifests and blobs together. A larger image is not copied. Default: 500GiB.",
    "100GiB",
  ).optional(),
  schedule: text(
    "When the daemon checks the mirror: five cron fields (minute, hour, day of month, month, day of week), or six with seconds first. Without this key: only on request.",
    "*/30 * * * *",
  ).optional(),
  labels: z
    .record(z.string().regex(LABEL_KEY), z.string().regex(LABEL_VALUE, "not the value of a label"))
    .meta({
      description:
        "Names and values for people: the page filters mirrors by them. A name has up to 63 letters, digits, `.`, `_`, `-` and `/`, a value the same or nothing.",
      examples: [{ team: "payments" }],
    })
    .optional(),
  timeZone: text("Time zone of the schedule, as an IANA name. Default: UTC.", "Europe/Berlin").optional(),
  jitter: text(
    "Maximum delay of each check, so that not all mirrors start at the same time. One mirror has the same delay at every due time and in all replicas.",
    "60s",
  ).optional(),
} as const;

export const mirror = z
  .strictObject({
    name: text("Name of the mirror. Without this key, it is derived from the target.").optional(),
    source: text(
      "The source of the images: registry/repository, or oci:DIR.",
      "docker.io/library/nginx",
      "oci:/srv/images",
    ).meta({ description: "The source of the images: registry/repository, or oci:DIR." }),
    target: text(
      "The target of the images: imagestream:NAMESPACE/NAME, registry/repository, or oci:DIR.",
      "imagestream:web/nginx",
    ),
    ...mirrorKeys,
  })
  .meta({ description: "One mirror: from a source to a target." });
