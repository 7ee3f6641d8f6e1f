import { isTagferryError, TagferryError } from "../errors/error.ts";
import { printable } from "../lib/error.ts";
import { apiStatusOf } from "./answer.ts";

/** A longer Retry-After is not believed. */
const RETRY_AFTER_MAX_S = 86_400;

/** The error for an answer with a status that the caller does not expect. */
export function errorOfAnswer(
  { status, body }: { readonly status: number; readonly body: unknown },
  { method, path, where }: { readonly method: string; readonly path: string; readonly where: string },
  retryAfter: string | string[] | undefined,
): TagferryError {
  const { message, reason } = apiStatusOf(body);
  const seconds = Number(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter);
  const details = {
    where,
    status,
    ...(reason === undefined ? {} : { reason }),
    found: printable(message === "" ? `${status}` : message, { maxLength: 400 }),
    ...(seconds > 0 && seconds <= RETRY_AFTER_MAX_S
      ? { retryAt: new Date(Date.now() + seconds * 1000).toISOString() }
      : {}),
  };
  const said = `${method} ${path.split("?")[0]}: ${status}`;
  if (status === 409)
    return new TagferryError("STREAM_CONFLICT", `${where}: somebody else changed it (${said})`, details);
  if (status === 401)
    return new TagferryError(
      "CLUSTER_DENIED",
      `${where}: the cluster does not accept the credentials (${said})`,
      {
        ...details,
        next: "Log in again with `oc login`.",
      },
    );
  if (status === 403) return forbidden(message, where, said, details);
  if (status === 429 || status >= 500)
    return new TagferryError(
      "CLUSTER_UNREACHABLE",
      `${where}: the API server answers with an error (${said})`,
      details,
    );
  if (status === 404 && /namespaces? "[^"]*" not found/.test(message))
    return new TagferryError("STREAM_NAMESPACE", `${where}: the namespace does not exist`, details);
  return new TagferryError(
    status === 422 ? "STREAM_INVALID" : "CLUSTER_ANSWER",
    `${where}: ${said} ${printable(message, { maxLength: 200 })}`,
    details,
  );
}

/**
 * For a missing right, RBAC names the verb and the resource. The API server also answers 403 for a quota and for a
 * namespace that is being deleted.
 */
function forbidden(
  message: string,
  where: string,
  said: string,
  details: Record<string, unknown>,
): TagferryError {
  if (/being terminated|is terminating/.test(message))
    return new TagferryError("STREAM_NAMESPACE", `${where}: the namespace is being deleted`, details);
  const [, verb, resource] = /cannot (\w+) resource "([^"]+)"/.exec(message) ?? [];
  // The message about a missing right contains the names of user and namespace. These may contain "limit".
  if (verb === undefined && /quota|limit/i.test(message))
    return new TagferryError(
      "TARGET_QUOTA",
      `${where}: a quota or limit of the namespace refuses it`,
      details,
    );
  const namespace = where.split("/")[0];
  const [, account] = /User "([^"]{1,253})" cannot /.exec(message) ?? [];
  return new TagferryError(
    "CLUSTER_DENIED",
    `${where}: we may not ${verb === undefined ? "do this" : `${verb} ${resource}`} (${said})`,
    {
      ...details,
      namespace,
      ...(account === undefined ? {} : { account }),
    },
  );
}

/** The error for a request without an answer. */
export function errorOfConnection(error: unknown, where: string, signal: AbortSignal | undefined): unknown {
  if (isTagferryError(error)) return error;
  if (signal?.aborted) return signal.reason;
  const { code, message } = innermost(error);
  return new TagferryError("CLUSTER_UNREACHABLE", `${where}: the API server cannot be reached`, {
    cause: error,
    where,
    found: printable(`${code} ${message}`.trim(), { maxLength: 200 }),
  });
}

function innermost(error: unknown): { readonly code: string; readonly message: string } {
  const {
    cause,
    code = "",
    message = String(error),
  } = (error ?? {}) as { cause?: unknown; code?: string; message?: string };
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  return code === "" && cause !== undefined ? innermost(cause) : { code, message };
}
