import { type Answer, json, readAll, refusal, type RegistryRequest } from "../registry/wire.ts";
import { mayDo } from "./access.ts";
import { userOfRequest } from "./registry-access.ts";
import type { IntegratedRegistry } from "./registry-blobs.ts";

const PATH =
  /^\/extensions\/v2\/(?<namespace>[^/]+)\/(?<name>[^/]+)\/signatures\/(?<digest>sha256:[0-9a-f]{64})$/;

/** Signatures in the format before cosign. skopeo asks for them because the registry announces them. */
export function openSignatures(
  registry: IntegratedRegistry,
): (request: RegistryRequest) => Promise<Answer | undefined> {
  const signatures = new Map<string, unknown[]>();
  return async (request) => {
    const { namespace = "", name, digest = "" } = PATH.exec(request.path)?.groups ?? {};
    if (digest === "") return undefined;
    const user = userOfRequest(registry, request);
    const verb = request.method === "PUT" ? "update" : "get";
    if (!user || !mayDo(user, { verb, resource: "imagestreams/layers", namespace, name }))
      return refusal(401, "UNAUTHORIZED", "authentication required");
    if (!registry.state.images.has(digest)) return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown");
    const held = signatures.get(digest) ?? [];
    if (request.method === "GET") return json(200, { signatures: held });
    if (request.method !== "PUT") return refusal(405, "UNSUPPORTED");
    const sent: unknown = JSON.parse((await readAll(request.body)).toString());
    signatures.set(digest, [...held, sent]);
    return { status: 201, headers: {} };
  };
}
