import { z } from "zod";

import { flag, list, path, text } from "./fields.ts";

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

export const registry = z
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
