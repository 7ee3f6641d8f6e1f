import { z } from "zod";

import { daemon } from "./daemon-schema.ts";
import { path, text } from "./fields.ts";
import { mirror, mirrorKeys, type tagRules } from "./mirror-schema.ts";
import { registry } from "./registry-schema.ts";

/** The format of the configuration file. docs/config.md and config/schema.json are generated from this. */

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

/** For commands that use only `registries`. */
export const fileWithoutMirrorsSchema = fileSchema.extend({ mirrors: z.array(mirror).default([]) });

export type FileShape = z.infer<typeof fileSchema>;
export type MirrorShape = z.infer<typeof mirror>;
export type RegistryShape = z.infer<typeof registry>;
export type TagRulesShape = z.infer<typeof tagRules>;

/** The content of config/schema.json, for editors. */
export function jsonSchema(): unknown {
  return z.toJSONSchema(fileSchema, { io: "input", target: "draft-2020-12" });
}
