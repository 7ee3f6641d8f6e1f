import type { ErrorCode } from "../../errors/codes.ts";
import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { type Details, printable } from "../../lib/error.ts";
import { snippet } from "../../oci/json.ts";
import type { Headers } from "../profile.ts";
import { SEND_STALLED } from "../transport/stalled-sends.ts";
import { pageText } from "./page-text.ts";
import { parseRetryAfter } from "./retry-after.ts";

/** What was requested. It decides what a 404 or a 403 means. */
export type Subject = {
  readonly action: "ping" | "list" | "resolve" | "pull" | "push";
  readonly what: "registry" | "tags" | "manifest" | "blob" | "upload" | "referrers";
  /** For messages: `registry/repository:tag`. */
  readonly where: string;
};

export type Refusal = {
  readonly status: number;
  readonly headers: Headers;
  /** The first 64 KiB at most. */
  readonly body: string;
};

/** How much of an HTML page is read when it comes instead of an answer. */
const PAGE_MAX_LENGTH = 16 * 1024;

type SpecError = { readonly code: string; readonly message: string };

/** Converts an unexpected response to an error. @see distribution-spec §error-codes */
export function errorOfResponse(refusal: Refusal, subject: Subject): TagferryError {
  const errors = specErrors(refusal.body);
  const code = codeOf(refusal, errors, subject);
  const reason = reasonOf(refusal, errors);
  const retryAt = parseRetryAfter(refusal.headers, reason);
  const details: Details = {
    where: subject.where,
    status: refusal.status,
    ...(errors.length > 0
      ? { registryCodes: errors.map((error) => printable(error.code, { maxLength: 64 })) }
      : {}),
    ...(reason === "" ? {} : { found: reason }),
    ...(mayComeBack(code) && retryAt ? { retryAt: retryAt.toISOString() } : {}),
    ...(code === "REGISTRY_TLS" ? { next: USES_TLS } : {}),
  };
  return new TagferryError(
    code,
    `${verb(subject)} ${subject.where}: ${refusal.status}${reason === "" ? "" : ` ${reason}`}`,
    details,
  );
}

const USES_TLS = "The port uses TLS: remove `plainHttp` of {registry} under `registries`.";
const USES_NO_TLS =
  "The port uses plain HTTP: set `plainHttp: true` for {registry} under `registries`, or use the port that has TLS.";

/** What Node adds to a certificate error. The flag is set already. */
const NODE_ADVICE = "; if the root CA is installed locally, try running Node.js with --use-system-ca";

/**
 * Statuses for which Retry-After is useful: too many requests, and temporary failures (503 during a rollout, a
 * gateway's 5xx).
 */
function mayComeBack(code: ErrorCode): boolean {
  return code === "RATE_LIMITED" || code === "REGISTRY_UNAVAILABLE";
}

function verb({ action, what }: Subject): string {
  return what === "registry" ? "ask" : `${action} ${what} of`;
}

function codeOf({ status, body }: Refusal, errors: readonly SpecError[], subject: Subject): ErrorCode {
  const codes = new Set(errors.map(({ code }) => code));
  const has = (...wanted: readonly string[]): boolean => wanted.some((one) => codes.has(one));
  const pushing = subject.action === "push";
  if (status === 429 || has("TOOMANYREQUESTS", "TOO_MANY_REQUESTS")) return "RATE_LIMITED";
  if (
    pushing &&
    subject.what === "manifest" &&
    has("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN")
  )
    return "TARGET_BLOB_UNKNOWN";
  if (pushing && has("BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID")) return "UPLOAD";
  if (pushing && has("DIGEST_INVALID", "SIZE_INVALID")) return "TARGET_DIGEST";
  if (has("TAG_IMMUTABLE") || (pushing && /immutable|ImageTagAlreadyExists/i.test(body)))
    return "TARGET_IMMUTABLE";
  switch (status) {
    case 400:
      // Go and nginx, when plain HTTP comes to a TLS port
      if (/HTTP request (?:was sent )?to (?:an )?HTTPS/i.test(body)) return "REGISTRY_TLS";
      break;
    case 401:
      // Harbor, to a valid token
      return pushing && /project [^\s"]{1,255} not found/i.test(body) ? "TARGET_PROJECT" : "AUTH_DENIED";
    case 403:
      if (pushing && /read[ -]?only mode/i.test(body)) return "TARGET_READONLY"; // Harbor at rest
      return pushing && /quota|limit|exceed/i.test(body) ? "TARGET_QUOTA" : "DENIED";
    case 404:
      return notFound(subject, has);
    case 405:
      return pushing ? "TARGET_READONLY" : "REQUEST_REJECTED";
    case 408:
    case 425:
    case 499:
      return "REGISTRY_UNAVAILABLE";
    case 412:
      return pushing ? (/immutable/i.test(body) ? "TARGET_IMMUTABLE" : "TARGET_REJECTED") : "SOURCE_POLICY";
    case 413:
      return pushing ? "TARGET_TOO_LARGE" : "REQUEST_REJECTED";
    case 415:
      return pushing ? "TARGET_UNSUPPORTED" : "REQUEST_REJECTED";
    case 416:
      return pushing ? "UPLOAD" : "RANGE";
    case 304:
      return "HTTP_PROTOCOL";
    case 507:
      return "TARGET_QUOTA";
  }
  if (status >= 500)
    return pushing && /read[ -]?only/i.test(body) ? "TARGET_READONLY" : "REGISTRY_UNAVAILABLE";
  if (pushing && subject.what === "manifest" && status >= 400)
    return has("UNSUPPORTED") ? "TARGET_UNSUPPORTED" : "TARGET_REJECTED";
  return status < 400 ? "HTTP_PROTOCOL" : "REQUEST_REJECTED";
}

function notFound({ action, what }: Subject, has: (...codes: string[]) => boolean): ErrorCode {
  if (what === "registry") return "REGISTRY_NOT_V2";
  if (action === "push") return "TARGET_PROJECT";
  if (has("NAME_UNKNOWN") || what === "tags") return "NAME_UNKNOWN";
  return what === "blob" ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN";
}

/** The format of the specification, and others that registries use: `{"message"}`, `{"detail"}`, `{"details"}`. */
function specErrors(body: string): readonly SpecError[] {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return [];
  }
  const list = (json as { readonly errors?: unknown } | null)?.errors;
  if (!Array.isArray(list)) return [];
  return list.slice(0, 10).map((item: unknown) => {
    const { code, message } = (typeof item === "object" && item !== null ? item : {}) as {
      code?: unknown;
      message?: unknown;
    };
    return {
      code: typeof code === "string" ? code.toUpperCase() : "",
      message: typeof message === "string" ? message : "",
    };
  });
}

function reasonOf({ body }: Refusal, errors: readonly SpecError[]): string {
  const said = errors
    .map(({ code, message }) => [code, message].filter((part) => part !== "").join(": "))
    .filter((part) => part !== "");
  if (said.length > 0) return printable(said.join("; "), { maxLength: 300 });
  return printable(snippet(plainMessage(body) ?? pageText(body.slice(0, PAGE_MAX_LENGTH))), {
    maxLength: 300,
  });
}

function plainMessage(body: string): string | undefined {
  try {
    const { message, detail, details } = JSON.parse(body) as Record<string, unknown>;
    return [message, detail, details].find((value): value is string => typeof value === "string");
  } catch {
    return undefined;
  }
}

/** Converts a failed connection to an error, by its code. Node, undici and OpenSSL each have their own codes. */
export function errorOfTransport(
  error: unknown,
  { where, signal }: { readonly where: string; readonly signal?: AbortSignal | undefined },
): unknown {
  if (isTagferryError(error)) return error;
  if (signal?.aborted) return signal.reason;
  const inner = innermost(error);
  const { code = "", message = String(error) } = inner as { code?: string; message?: string };
  const fail = (kind: ErrorCode, what: string, details: Details = {}): TagferryError =>
    new TagferryError(kind, `${where}: ${what}`, {
      cause: error,
      where,
      found: printable(message.replace(NODE_ADVICE, ""), { maxLength: 200 }),
      ...details,
    });
  if (inner instanceof Error && inner.name === "TimeoutError")
    return fail("STALLED", "no answer within the time limit");
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT")
    return fail("STALLED", "nothing was received for too long");
  if (code === SEND_STALLED) return fail("STALLED", "it accepts nothing of what is sent");
  if (code === "ERR_REDIRECT_PRIVATE")
    return fail("REDIRECT_REFUSED", "a redirect leads to an address where it must not lead");
  if (["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA", "ENODATA"].includes(code))
    return fail("REGISTRY_DNS", "the host name cannot be resolved");
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG")
    return fail("REGISTRY_TLS", "it does not use TLS", {
      found: "an answer that is not TLS",
      next: USES_NO_TLS,
    });
  if (
    /^(?:ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|EPROTO|HOSTNAME_MISMATCH)/.test(code)
  )
    return fail("REGISTRY_TLS", "no trusted TLS connection");
  if (code.startsWith("HPE_") || (inner instanceof Error && inner.name === "HTTPParserError"))
    return protocolError(inner, fail);
  if (
    [
      "UND_ERR_HEADERS_OVERFLOW",
      "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
      "UND_ERR_RESPONSE_STATUS_CODE",
    ].includes(code)
  )
    return fail("HTTP_PROTOCOL", "the answer violates HTTP");
  if (code === "UND_ERR_PRX_TLS" || /proxy/i.test(message))
    return fail("PROXY_REFUSED", "the proxy refused the connection");
  if (
    /^(?:E[A-Z]+|UND_ERR_SOCKET|UND_ERR_CONNECT_TIMEOUT|UND_ERR_DESTROYED|UND_ERR_CLOSED)$/.test(code) ||
    /other side closed|terminated/.test(message)
  )
    return fail("REGISTRY_UNREACHABLE", "the connection failed");
  return error;
}

/** Docker's abuse limiter answers 429 with header lines that end with LF only. No HTTP parser accepts them. */
function protocolError(
  inner: unknown,
  fail: (kind: ErrorCode, what: string, details?: Details) => TagferryError,
): TagferryError {
  const { data } = inner as { data?: unknown };
  if (typeof data === "string" && /429|too many requests/i.test(data))
    return fail("RATE_LIMITED", "the registry limits the rate of requests");
  if (typeof data === "string" && data.startsWith(TLS_ALERT))
    return fail("REGISTRY_TLS", "it answers plain HTTP with TLS", { next: USES_TLS });
  return fail("HTTP_PROTOCOL", "the answer violates HTTP");
}

/** The first two bytes of a TLS alert. */
const TLS_ALERT = "\u0015\u0003";

function innermost(error: unknown): unknown {
  const { cause } = (error ?? {}) as { cause?: unknown };
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  return cause instanceof Error && (error as { code?: string }).code === undefined ? innermost(cause) : error;
}
