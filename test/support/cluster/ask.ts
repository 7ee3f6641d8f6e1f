import { ask, type Reply } from "../ask.ts";
import type { TestCluster } from "./cluster.ts";

const STREAMS = "/apis/image.openshift.io/v1/namespaces/mirror/imagestreams";

/** An answer of the API server: the object that was asked for, or the Status that refuses. */
export type ApiAnswer = { readonly status: number; readonly body: AnswerBody };
type AnswerBody = Record<string, unknown> & { readonly message?: string };

/** Calls the API of a test cluster as one of its users. Paths that do not begin with `/apis` are resources of `mirror`. */
export function apiOf(
  { apiUrl, token, ca }: Pick<TestCluster, "apiUrl" | "token" | "ca">,
  as: string = token,
): (method: string, path: string, body?: unknown, contentType?: string) => Promise<ApiAnswer> {
  return async (method, path, body, contentType = "application/json") => {
    const whole = path.startsWith("/") ? path : `${STREAMS.slice(0, -"imagestreams".length)}${path}`;
    const { status, body: bytes } = await ask(method, `${apiUrl}${whole}`, {
      headers: { authorization: `Bearer ${as}`, "content-type": contentType, "user-agent": "kubectl/v1.34" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    return { status, body: JSON.parse(bytes.toString() || "{}") as AnswerBody };
  };
}

/** Calls the integrated registry of a test cluster with a token of one of its users. */
export function registryOf(
  { registryUrl, token, ca }: Pick<TestCluster, "registryUrl" | "token" | "ca">,
  as: string = token,
): (
  method: string,
  path: string,
  options?: { readonly headers?: Readonly<Record<string, string>>; readonly body?: Uint8Array },
) => Promise<Reply> {
  return (method, path, { headers = {}, body } = {}) =>
    ask(method, `${registryUrl}/v2/${path}`, {
      headers: { authorization: `Bearer ${as}`, ...headers },
      ...(body === undefined ? {} : { body }),
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
}
