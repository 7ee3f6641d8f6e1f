import { TagferryError } from "../errors/error.ts";
import type { ImageStream } from "./image-stream.ts";

/**
 * The host of the integrated registry, from the status of the stream: the internal host inside the cluster, the public
 * route outside.
 *
 * @throws {TagferryError} CLUSTER_REGISTRY when the cluster has no registry, or when it cannot be reached from here
 */
export function registryHostOf(
  { metadata, status }: ImageStream,
  { inCluster }: { readonly inCluster: boolean },
): string {
  const internal = hostOf(status?.dockerImageRepository);
  const external = hostOf(status?.publicDockerImageRepository);
  const where = `${metadata.namespace}/${metadata.name}`;
  if (internal === undefined && external === undefined)
    throw new TagferryError("CLUSTER_REGISTRY", "the cluster has no integrated registry", {
      where,
      found: "an empty status.dockerImageRepository",
    });
  if (inCluster && internal !== undefined) return internal;
  if (external !== undefined) return external;
  if (internal !== undefined && !/\.svc(?:\.cluster\.local)?(?::\d+)?$/.test(internal)) return internal;
  throw new TagferryError(
    "CLUSTER_REGISTRY",
    `the integrated registry ${internal} can be reached only inside the cluster`,
    {
      where,
      found: internal,
      next: 'Give it a route: oc patch configs.imageregistry.operator.openshift.io/cluster --type merge -p \'{"spec":{"defaultRoute":true}}\', or set clusters.*.registry.',
    },
  );
}

function hostOf(repository: string | undefined): string | undefined {
  const host = repository?.split("/")[0];
  return host === undefined || host === "" ? undefined : host;
}
