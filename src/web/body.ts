import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";

import { TagferryError } from "../errors/error.ts";

/** Reads at most `maxBytes`. Answers WEB_TOO_LARGE, with or without a Content-Length. */
export function limitedBody(maxBytes: number): MiddlewareHandler {
  return bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new TagferryError("WEB_TOO_LARGE", `the body is larger than ${maxBytes / 1024} KiB`);
    },
  });
}

/** The fields of a form. @throws {TagferryError} WEB_REQUEST */
export async function formOf(context: Context): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await context.req.parseBody();
  } catch (cause) {
    throw new TagferryError("WEB_REQUEST", "the body is not a form", { cause });
  }
}

/** All values of one field of a form, each once. @throws {TagferryError} WEB_REQUEST */
export async function namesIn(context: Context, field: string): Promise<readonly string[]> {
  try {
    const { [field]: found = [] } = await context.req.parseBody({ all: true });
    const values = Array.isArray(found) ? found : [found];
    return [...new Set(values.filter((value) => typeof value === "string"))];
  } catch (cause) {
    throw new TagferryError("WEB_REQUEST", "the body is not a form", { cause });
  }
}
