import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

import type { ErrorCode } from "../errors/codes.ts";
import { type Failure, failureOf } from "../errors/error.ts";
import { redact } from "../lib/redact.ts";

const STATUS: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  WEB_UNAUTHORIZED: 401,
  HOOK_SECRET: 401,
  WEB_ORIGIN: 403,
  WEB_READ_ONLY: 403,
  WEB_NOT_FOUND: 404,
  MIRROR_UNKNOWN: 404,
  WEB_METHOD: 405,
  WEB_TOO_LARGE: 413,
  WEB_REQUEST: 400,
  HOOK_BODY: 400,
  WEB_BUSY: 429,
  QUEUE_AWAY: 503,
};

export function httpStatusOf(code: ErrorCode): ContentfulStatusCode {
  return STATUS[code] ?? 500;
}

/**
 * The part of a failure that a caller may see. The reason of an internal error may contain file names, so it is only in
 * the log.
 */
export function publicFailure(error: unknown): Failure {
  const failure = failureOf(error);
  if (httpStatusOf(failure.code) !== 500) return failure;
  return {
    ...failure,
    message: "the daemon could not do this",
    next: "See the log of the daemon for the reason.",
    details: {},
  };
}

/** A failure as an API answer: `{code, message, next}`. */
export function answerFailure(context: Context, error: unknown): Response {
  const { code, message, next } = publicFailure(error);
  return answer(context, { code, message, next }, httpStatusOf(code));
}

/** JSON without secrets, whatever the caller passes. */
export function answer(context: Context, body: object, status: ContentfulStatusCode = 200): Response {
  return context.json(redact(body) as object, status);
}
