import { z } from "zod";

/** The format of the configuration file. docs/config.md and config/schema.json are generated from this. */

const text = (description: string, ...examples: readonly string[]) =>
  z.string().min(1).meta({ description, examples });
const path = (description: string, ...examples: readonly string[]) =>
  text(`${description} Relative to the configuration file.`, ...examples);
const flag = (description: string) => z.boolean().meta({ description });
const list = (item: z.ZodString, description: string) => z.array(item).min(1).meta({ description });

const credentials = z
  .strictObject({
    usernameFile: path("File with the user name.", "/run/secrets/hub/username").optional(),
    username: text("The user name. It is not a secret.", "robot$mirror", "${HUB_USER}").optional(),
    passwordFile: path("File with the password or token.", "/run/secrets/hub/password").optional(),
    password: text(
      "The password, only as ${NAME}: the file never contains a password.",
      "${HUB_PASSWORD}",
    ).optional(),
    tokenFile: path("File with a bearer token, which is sent unchanged.", "/run/secrets/token").optional(),
    anonymous: z
      .literal(true)
      .meta({ description: "Send no credentials to this registry, even if the auth files contain some." })
      .optional(),
  })
  .meta({
    description:
      "Credentials for this registry. Without this key, the auth files and credential helpers of docker and podman are used.",
  });

const timeouts = z
  .strictObject({
    connect: text("Until a connection is open. 10s without this key.", "10s").optional(),
    firstByte: text(
      "From the end of a request to the first byte of its answer. 30s without this key.",
      "30s",
    ).optional(),
    idle: text("Silence within an answer. 60s without this key.", "60s").optional(),
    retries: text(
      "How long a request or a layer is tried again without progress. At most half of it passes without any answer. 2m without this key.",
      "2m",
    ).optional(),
  })
  .meta({ description: "How long to wait for this registry." });

const registry = z
  .strictObject({
    kind: z
      .enum(["auto", "harbor", "dockerhub", "quay", "distribution", "openshift"])
      .meta({ description: "The kind of registry. `auto` detects it.", default: "auto" })
      .optional(),
    credentials: credentials.optional(),
    ca: path(
      "PEM file with the authority that signed the registry's certificate. It is trusted in addition to the authorities of the system.",
      "/etc/tagferry/corp-ca.crt",
    ).optional(),
    clientCertificate: path(
      "PEM file with a client certificate, for registries that ask for one.",
    ).optional(),
    clientKey: path("PEM file with the key of the client certificate, without passphrase.").optional(),
    insecure: flag("Accept any certificate. Not allowed for docker.io.").optional(),
    plainHttp: flag("Use HTTP instead of HTTPS. Not allowed for docker.io.").optional(),
    connections: z
      .int()
      .min(1)
      .max(1000)
      .meta({ description: "Maximum number of requests at the same time.", default: 16 })
      .optional(),
    requestsPerSecond: z
      .number()
      .positive()
      .max(10_000)
      .meta({
        description: "Maximum number of requests started per second. Without this key, there is no limit.",
      })
      .optional(),
    tokenRealms: list(
      z.string().min(1),
      "Hosts of token servers (host or host:port) that may receive the credentials of this registry, in addition to its own host and port, and to the token server that is known for it.",
    ).optional(),
    timeouts: timeouts.optional(),
    largeReads: z
      .boolean()
      .meta({
        description: "Read layers of 4 MiB and more through sockets of Tagferry's own, with half the CPU.",
        default: true,
      })
      .optional(),
  })
  .meta({ description: "Settings of one registry, or of one project of it." });

const cluster = z
  .strictObject({
    kubeconfigFile: path(
      "Kubeconfig of the cluster. Without this key: the pod's service account, else $KUBECONFIG or ~/.kube/config.",
    ).optional(),
    context: text("Context of the kubeconfig. Without this key: the current context.").optional(),
    registry: text(
      "Host of the integrated registry, as this machine reaches it. Without this key: the host in the status of the image streams.",
      "default-route-openshift-image-registry.apps.example.com",
    ).optional(),
    owner: text(
      "Name of this installation in the ownership annotation. Without this key: the pod's namespace, else the host name.",
    ).optional(),
  })
  .meta({ description: "One cluster." });

const exactTags = z
  .array(z.string())
  .min(1)
  .meta({
    description: "Exact tags. They need no listing of the source. `TAG@sha256:…` also pins the digest.",
    examples: [["latest", "2"]],
  });

const tagRules = z
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

const mirrorKeys = {
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
  timeZone: text("Time zone of the schedule, as an IANA name. Default: UTC.", "Europe/Berlin").optional(),
  jitter: text(
    "Maximum delay of each check, so that not all mirrors start at the same time. One mirror has the same delay at every due time and in all replicas.",
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
          ca: path("PEM file with the authority that signed the certificate of Redis.").optional(),
        }),
      ])
      .meta({
        description:
          "The Redis that several processes share. Without this key, everything is in one process.",
      })
      .optional(),
    stateFile: path(
      "For a daemon without redis: the file where it stores pauses, runs, history and quarantine. Without redis and this file, they are lost at a restart.",
      "/var/lib/tagferry/state.jsonl",
    ).optional(),
    workers: z
      .int()
      .min(0)
      .max(256)
      .meta({
        description: "0: the process only schedules and shows. Other numbers: an older name of copies.",
      })
      .optional(),
    copies: z
      .int()
      .min(1)
      .max(256)
      .meta({ description: "Tags that a process copies at once.", default: 16 })
      .optional(),
    checks: z
      .int()
      .min(1)
      .max(1_024)
      .meta({
        description:
          "Mirrors that a process checks at once. Without: as many as there are mirrors, from 8 to 64, within what its memory takes.",
      })
      .optional(),
    jobKeyFile: path(
      "File with the key that signs the jobs in Redis, the same in all processes: who can write Redis cannot order writes. One key per line: the first one signs, all verify.",
      "/run/secrets/tagferry/job-key",
    ).optional(),
    listen: text(
      "Address of page, API and metrics. An address other than loopback needs tokenFile. Default: 127.0.0.1:8080.",
      "0.0.0.0:8080",
    ).optional(),
    healthListen: text(
      "Second address for /livez and /readyz only. Without this key, they answer only at `listen`.",
      "0.0.0.0:8081",
    ).optional(),
    tokenFile: path(
      "File with the token for the API and the page.",
      "/run/secrets/tagferry/token",
    ).optional(),
    readTokenFile: path(
      "File with a second token. It reads the API and the page, and changes nothing. Needs tokenFile.",
      "/run/secrets/tagferry/read-token",
    ).optional(),
    trustForwardedUser: z
      .union([
        flag("Trust a proxy on this machine (loopback)."),
        z.strictObject({
          secretFile: path(
            "File with the secret that the proxy sends in X-Tagferry-Proxy-Secret.",
            "/run/secrets/tagferry/proxy",
          ),
        }),
      ])
      .meta({
        description:
          "Proxy whose X-Forwarded-User is written into the audit lines: `true` for a proxy on this machine, or a proxy that sends a secret. The name gives no access. Without this key, the header is ignored.",
      })
      .optional(),
    webhooks: z
      .strictObject({
        secretFile: path(
          "File with the secret that webhooks must send, for all senders that have none in secretFiles.",
          "/run/secrets/tagferry/webhook",
        ).optional(),
        secretFiles: z
          .strictObject({
            dockerhub: path("File with the secret for Docker Hub.").optional(),
            harbor: path("File with the secret for Harbor.").optional(),
            quay: path("File with the secret for Quay.").optional(),
            github: path("File with the secret for GitHub.").optional(),
            generic: path("File with the secret for /hooks/generic.").optional(),
          })
          .meta({ description: "One secret for each sender. It replaces secretFile for this sender." })
          .optional(),
      })
      .meta({
        description:
          "Webhooks of registries: a push makes a mirror due at once. Webhooks of a sender without a secret are refused.",
      })
      .optional(),
    grace: text("How long running work may continue after SIGTERM. Default: 25s.", "25s").optional(),
  })
  .meta({ description: "How `tagferry serve` and `tagferry worker` run." });

const mirror = z
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

export const fileSchema = z
  .strictObject({
    version: z.literal(1).meta({ description: "Version of the file format." }),
    registries: z
      .record(z.string(), registry)
      .meta({
        description:
          "Settings of registries that need other than the defaults. A key is a host, or host/path for a project. The longest matching key is used.",
      })
      .optional(),
    clusters: z
      .record(z.string(), cluster)
      .meta({ description: "The cluster whose image streams are written. Only one cluster is possible." })
      .optional(),
    defaults: z
      .strictObject(mirrorKeys)
      .meta({ description: "Defaults for all mirrors: any key of a mirror except name, source and target." })
      .optional(),
    daemon: daemon.optional(),
    mirrors: z.array(mirror).min(1).meta({ description: "The mirrors." }),
  })
  .meta({ title: "Tagferry configuration", description: "What Tagferry mirrors, and how." });

export type FileShape = z.infer<typeof fileSchema>;
export type MirrorShape = z.infer<typeof mirror>;
export type RegistryShape = z.infer<typeof registry>;
export type TagRulesShape = z.infer<typeof tagRules>;

/** The content of config/schema.json, for editors. */
export function jsonSchema(): unknown {
  return z.toJSONSchema(fileSchema, { io: "input", target: "draft-2020-12" });
}
