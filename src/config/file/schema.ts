import { z } from "zod";

/** The shape of the file, as people write it. docs/config.md and config/schema.json are generated from this. */

const text = (description: string, ...examples: readonly string[]) =>
  z.string().min(1).meta({ description, examples });
const path = (description: string, ...examples: readonly string[]) =>
  text(`${description} Relative to the configuration file.`, ...examples);
const flag = (description: string) => z.boolean().meta({ description });
const list = (item: z.ZodString, description: string) => z.array(item).min(1).meta({ description });

const credentials = z
  .strictObject({
    usernameFile: path("File with the user name.", "/run/secrets/hub/username").optional(),
    username: text("The user name; not a secret.", "robot$mirror", "${HUB_USER}").optional(),
    passwordFile: path("File with the password or token.", "/run/secrets/hub/password").optional(),
    password: text("Only as ${NAME}: a password never stands in the file.", "${HUB_PASSWORD}").optional(),
    tokenFile: path("File with a bearer token that is sent as it is.", "/run/secrets/token").optional(),
    anonymous: z
      .literal(true)
      .meta({ description: "Send no credentials to this registry, whatever the auth files say." })
      .optional(),
  })
  .meta({
    description:
      "Who we are at this registry. Without it: docker's and podman's auth files and their helpers.",
  });

const registry = z
  .strictObject({
    kind: z
      .enum(["auto", "harbor", "dockerhub", "quay", "distribution", "openshift"])
      .meta({ description: "What kind of registry this is. `auto` finds out.", default: "auto" })
      .optional(),
    credentials: credentials.optional(),
    ca: path(
      "PEM file with the authority that signed the registry's certificate; trusted besides the system's.",
      "/etc/tagferry/corp-ca.crt",
    ).optional(),
    clientCertificate: path("PEM file with our certificate, for registries that ask for one.").optional(),
    clientKey: path("PEM file with its key, without passphrase.").optional(),
    insecure: flag("Take any certificate. Never for docker.io.").optional(),
    plainHttp: flag("Speak HTTP instead of HTTPS. Never for docker.io.").optional(),
    connections: z
      .int()
      .min(1)
      .max(1000)
      .meta({ description: "Requests under way at once.", default: 16 })
      .optional(),
    requestsPerSecond: z
      .number()
      .positive()
      .max(10_000)
      .meta({ description: "Requests started per second. Without: as fast as it answers." })
      .optional(),
    tokenRealms: list(
      z.string().min(1),
      "Hosts, besides the registry's own and its domain, that may be given its credentials to make a token.",
    ).optional(),
  })
  .meta({ description: "How to talk to one registry, or to one project of it." });

const cluster = z
  .strictObject({
    kubeconfigFile: path(
      "Kubeconfig of the cluster. Without: the pod's service account, else $KUBECONFIG or ~/.kube/config.",
    ).optional(),
    context: text("Context of the kubeconfig. Without: the current one.").optional(),
    registry: text(
      "Host of the integrated registry as seen from here. Without: told by the streams' status.",
      "default-route-openshift-image-registry.apps.example.com",
    ).optional(),
    owner: text(
      "Name of this installation in the ownership annotation. Without: the pod's namespace, else the host name.",
    ).optional(),
  })
  .meta({ description: "One cluster." });

const exactTags = z
  .array(z.string())
  .min(1)
  .meta({
    description: "Exact names: no listing is needed. `TAG@sha256:…` also pins the digest.",
    examples: [["latest", "2"]],
  });

const tagRules = z
  .strictObject({
    all: z.literal(true).meta({ description: "Every tag." }).optional(),
    exact: list(z.string().min(1), "Exact names.").optional(),
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
      .meta({ description: "Globs that are left out.", examples: [["*-perl", "*-rc*"]] })
      .optional(),
    since: text("Only tags pushed (or images made) within this time.", "90d").optional(),
    newest: z
      .int()
      .min(1)
      .max(100_000)
      .meta({ description: "Only the newest so many of each variant (`-alpine` is one)." })
      .optional(),
    by: z
      .enum(["semver", "pushed", "name"])
      .meta({ description: "What newest means.", default: "semver" })
      .optional(),
    max: z.int().min(1).max(1_000_000).meta({ description: "More tags than this are an error." }).optional(),
  })
  .meta({ description: "Rules: (all, exact, glob, regex, semver united) → exclude → since → newest → max." });

const prune = z
  .strictObject({
    grace: text("How long a tag must have been gone at the source.", "7d"),
    atMost: z
      .union([z.string(), z.number()])
      .meta({
        description:
          "A brake: when more than this share (or number) of the mirror's tags would go in one run, none goes.",
        default: "20%",
        examples: ["20%", 5],
      })
      .optional(),
  })
  .meta({
    description:
      "Remove tags that are gone at the source. Without: never. Only tags this mirror owns, never on an empty or failed listing.",
  });

const mirrorKeys = {
  storage: text(
    "Where the bytes live when the target is an image stream: `integrated`, `source`, or a repository such as harbor.corp.example/mirror/app.",
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
        "Only these platforms are copied; the index and its digest stay as they are. Without: all.",
      examples: [["linux/amd64", "linux/arm64"]],
    })
    .optional(),
  referrers: flag("Signatures, SBOMs and attestations travel along. Default: true.").optional(),
  takeover: flag(
    "A tag of the stream that imports from elsewhere, or that somebody pushed, may become ours. Default: false.",
  ).optional(),
  referencePolicy: z
    .enum(["source", "local"])
    .meta({
      description:
        "For imported tags: pods pull from where the image is, or through the integrated registry. An existing tag keeps its own.",
      default: "source",
    })
    .optional(),
  prune: prune.optional(),
  schedule: text(
    "When the daemon checks the mirror: five cron fields (minute, hour, day of month, month, day of week), or six with seconds first. Without: only when asked to.",
    "*/30 * * * *",
  ).optional(),
  timeZone: text("Time zone of the schedule: an IANA name. Without: UTC.", "Europe/Berlin").optional(),
  jitter: text(
    "The check begins up to so much later, so that not all mirrors ask at once; the same for every due time of one mirror in all replicas.",
    "60s",
  ).optional(),
} as const;

const daemon = z
  .strictObject({
    redis: z
      .union([
        text("Address of the Redis that several processes share.", "redis://redis.tagferry.svc:6379"),
        z.strictObject({
          url: text("redis://HOST:PORT, rediss:// with TLS, or unix:/path.", "redis://redis:6379"),
          passwordFile: path("File with the password.", "/run/secrets/redis/password").optional(),
          ca: path("PEM file with the authority of Redis' certificate.").optional(),
        }),
      ])
      .meta({ description: "The Redis that several processes share. Without: everything in one process." })
      .optional(),
    stateFile: path(
      "Without redis: the file in which the daemon remembers pauses, runs, history and quarantine. Without either: a restart forgets them.",
      "/var/lib/tagferry/state.jsonl",
    ).optional(),
    workers: z
      .int()
      .min(0)
      .max(256)
      .meta({ description: "Tags in flight per process. 0: it only schedules and shows.", default: 4 })
      .optional(),
    listen: text(
      "Where page, API and metrics are served. Anything but loopback needs tokenFile. Default: 127.0.0.1:8080.",
      "0.0.0.0:8080",
    ).optional(),
    tokenFile: path("File with the token for API and page.", "/run/secrets/tagferry/token").optional(),
    webhooks: z
      .strictObject({
        secretFile: path("File with the secret that webhooks must know.", "/run/secrets/tagferry/webhook"),
      })
      .meta({ description: "Pushes at a registry make a mirror due at once. Without: no webhook is taken." })
      .optional(),
    grace: text("How long work in flight may take after SIGTERM. Default: 25s.", "25s").optional(),
  })
  .meta({ description: "How `tagferry serve` and `tagferry worker` run." });

const mirror = z
  .strictObject({
    name: text("Name of the mirror. Without: derived from the target.").optional(),
    source: text(
      "Where the images come from: registry/repository, or oci:DIR.",
      "docker.io/library/nginx",
      "oci:/srv/images",
    ).meta({ description: "Where the images come from: registry/repository, or oci:DIR." }),
    target: text(
      "Where they go: imagestream:NAMESPACE/NAME, registry/repository, or oci:DIR.",
      "imagestream:web/nginx",
    ),
    ...mirrorKeys,
  })
  .meta({ description: "One mirror: from a source to a target." });

export const fileSchema = z
  .strictObject({
    version: z.literal(1).meta({ description: "Version of this format." }),
    registries: z
      .record(z.string(), registry)
      .meta({
        description:
          "Only where the default does not do. Keys are hosts, or host/path for a project; the longest wins.",
      })
      .optional(),
    clusters: z
      .record(z.string(), cluster)
      .meta({ description: "The cluster whose image streams are written. One." })
      .optional(),
    defaults: z
      .strictObject(mirrorKeys)
      .meta({ description: "Any key of a mirror but name, source and target." })
      .optional(),
    daemon: daemon.optional(),
    mirrors: z.array(mirror).min(1).meta({ description: "The mirrors." }),
  })
  .meta({ title: "Tagferry configuration", description: "What Tagferry mirrors." });

export type FileShape = z.infer<typeof fileSchema>;
export type MirrorShape = z.infer<typeof mirror>;
export type RegistryShape = z.infer<typeof registry>;
export type TagRulesShape = z.infer<typeof tagRules>;

/** What config/schema.json holds, for editors. */
export function jsonSchema(): unknown {
  return z.toJSONSchema(fileSchema, { io: "input", target: "draft-2020-12" });
}
