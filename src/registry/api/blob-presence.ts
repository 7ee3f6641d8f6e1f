import type { Cancellable } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Answer } from "../http/request.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { header } from "./manifests.ts";

/** What a repository has under a blob's digest. `other`: content with another length. */
export type BlobPresence = "present" | "absent" | "other";

/**
 * Whether a blob with the length of its descriptor is there.
 *
 * HEAD answers this with Content-Length. When this header is missing (a compressing proxy, a redirect to object
 * storage, no HEAD at all), one byte is requested: the answer's Content-Range contains the length.
 *
 * @throws {TagferryError} AUTH_*, DENIED, REGISTRY_*
 * @see
 *   https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#checking-if-content-exists-in-the-registry
 */
export async function findBlob(
  descriptor: Descriptor,
  client: RepositoryClient,
  options: Cancellable,
): Promise<BlobPresence> {
  // the slot of the first request is free before the second one asks for one
  const byHead = await findByHead(descriptor, client, options);
  return byHead ?? (await findByRange(descriptor, client, options));
}

/** undefined when the answer proves nothing. */
async function findByHead(
  { digest, size }: Descriptor,
  client: RepositoryClient,
  options: Cancellable,
): Promise<BlobPresence | undefined> {
  const url = client.url(`blobs/${digest}`);
  await using answer = await client.requester.ask(
    {
      method: "HEAD",
      url,
      scopes: client.push,
      subject: { action: "resolve", what: "blob", where: `${client.name}@${digest}` },
      expect: [200, 301, 302, 303, 307, 308, 404, 405],
      // a signed URL of object storage may allow only GET
      manualRedirect: true,
    },
    options,
  );
  if (answer.status === 404) return "absent";
  const length = answer.status === 200 ? lengthOfBody(answer) : undefined;
  // a page of a proxy is not an empty blob
  if (length !== undefined) return length === size ? "present" : "other";
  return answer.status === 200 && size === 0 ? "present" : undefined;
}

/**
 * undefined when the header is missing, when the body is encoded, and for the 0 that some proxies send for every HEAD.
 */
function lengthOfBody(answer: Answer): number | undefined {
  const encoding = header(answer, "content-encoding") ?? "identity";
  const length = Number(header(answer, "content-length"));
  return encoding === "identity" && Number.isSafeInteger(length) && length > 0 ? length : undefined;
}

async function findByRange(
  { digest, size }: Descriptor,
  client: RepositoryClient,
  options: Cancellable,
): Promise<BlobPresence> {
  await using answer = await client.requester.ask(
    {
      method: "GET",
      url: client.url(`blobs/${digest}`),
      headers: { range: "bytes=0-0" },
      scopes: client.push,
      subject: { action: "resolve", what: "blob", where: `${client.name}@${digest}` },
      expect: [200, 206, 404, 416],
    },
    options,
  );
  if (answer.status === 404) return "absent";
  const [, total] = /^bytes 0-0\/(\d{1,16})$/.exec(header(answer, "content-range") ?? "") ?? [];
  const length = answer.status === 206 ? Number(total) : lengthOfBody(answer);
  return length === size ? "present" : "other";
}
