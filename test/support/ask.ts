import { type IncomingHttpHeaders, request as plainRequest } from "node:http";
import { Agent, request as tlsRequest } from "node:https";

export type Reply = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer };

export type AskOptions = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
};

/** One HTTP request with exactly these headers, on a connection of its own; redirects are not followed. */
export async function ask(method: string, url: string, options: AskOptions = {}): Promise<Reply> {
  const { headers = {}, body, tls } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const length =
    body === undefined && method !== "POST" && method !== "PUT"
      ? {}
      : { "content-length": Buffer.byteLength(body ?? "") };
  const asked = url.startsWith("https:")
    ? tlsRequest(url, { method, headers: { ...length, ...headers }, agent: new Agent({ ...tls }) })
    : plainRequest(url, { method, headers: { ...length, ...headers }, agent: false });
  asked.once("error", reject);
  asked.once("response", (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.once("error", reject);
    response.once("end", () =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
    );
  });
  asked.end(body);
  return promise;
}

/** The code of the first error in a registry's answer. */
export function errorCode({ body }: Reply): string | undefined {
  const { errors } = JSON.parse(body.toString("utf8")) as { errors?: { code: string }[] };
  return errors?.[0]?.code;
}
