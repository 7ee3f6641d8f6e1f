import { type Digest, digestOf } from "../../../src/oci/digest.ts";
import type { StoredManifest } from "../registry/store.ts";
import { pullSecrets } from "./import-fetch.ts";
import { type ImageStream, INSECURE_ANNOTATION } from "./objects.ts";
import type { IntegratedRegistry } from "./registry-blobs.ts";
import { findStream } from "./state.ts";
import { askUpstream, findCredentials, splitReference, type UpstreamAccess } from "./upstream.ts";

/** Reads a blob from an upstream in the stream's status, newest events first. The blob is not stored here. */
export async function pullBlob(
  registry: IntegratedRegistry,
  repository: string,
  digest: Digest,
  method: "GET" | "HEAD",
): Promise<{ readonly size: number; readonly bytes: Uint8Array | undefined } | undefined> {
  const [namespace = "", name = ""] = repository.split("/");
  const stream = findStream(registry.state, namespace, name);
  if (!stream) return undefined;
  for (const access of upstreamsOf(registry, stream)) {
    const answer = await tryUpstream(registry, `blobs/${digest}`, access, method);
    if (answer?.status !== 200) continue;
    const size = Number(answer.headers["content-length"] ?? answer.body.length);
    return { size, bytes: method === "GET" ? answer.body : undefined };
  }
  return undefined;
}

export async function pullManifest(
  registry: IntegratedRegistry,
  stream: ImageStream,
  digest: Digest,
): Promise<StoredManifest | undefined> {
  for (const access of upstreamsOf(registry, stream)) {
    const answer = await tryUpstream(registry, `manifests/${digest}`, access, "GET");
    if (answer?.status !== 200 || digestOf(answer.body) !== digest) continue;
    const mediaType = (answer.headers["content-type"] ?? "").split(";")[0]?.trim() ?? "";
    return { bytes: answer.body, mediaType, digest };
  }
  return undefined;
}

/** An upstream that is unavailable or refuses counts as one that does not have the content. */
async function tryUpstream(
  { upstream }: IntegratedRegistry,
  path: string,
  access: UpstreamAccess,
  method: "GET" | "HEAD",
): Promise<Awaited<ReturnType<typeof askUpstream>> | undefined> {
  try {
    return await askUpstream(path, access, upstream, method);
  } catch {
    return undefined;
  }
}

function upstreamsOf({ state }: IntegratedRegistry, stream: ImageStream): UpstreamAccess[] {
  const { namespace = "", annotations } = stream.metadata;
  const secrets = pullSecrets(state, namespace);
  const found = new Map<string, UpstreamAccess>();
  const everything = annotations?.[INSECURE_ANNOTATION] === "true";
  const depth = Math.max(0, ...(stream.status.tags ?? []).map(({ items }) => items?.length ?? 0));
  for (let age = 0; age < depth; age += 1)
    for (const { tag, items } of stream.status.tags ?? []) {
      const reference = items?.[age]?.dockerImageReference ?? "";
      const { host, repository } = splitReference(reference);
      if (reference === "" || host === state.registryHost || found.has(`${host}/${repository}`)) continue;
      const policy = stream.spec.tags?.find(({ name }) => name === tag)?.importPolicy;
      found.set(`${host}/${repository}`, {
        host,
        repository,
        insecure: everything || policy?.insecure === true,
        credentials: findCredentials(secrets, host, repository),
      });
    }
  return [...found.values()];
}
