import { z } from "zod";

import { flag, path, text } from "./fields.ts";

export const daemon = z
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
