import { z } from "zod";

import { TagferryError } from "../errors/error.ts";
import { printable } from "../lib/error.ts";

/** The longest message of a `Status` that is read. */
const MESSAGE_MAX_LENGTH = 4_096;

/** The reading ends at the first issue. A hostile answer may have millions of wrong items, and each would be an issue. */
const FIRST_ISSUE: z.core.ParseContextInternal<z.core.$ZodIssue> = { abortEarly: true };

/**
 * Reads an answer of the API server.
 *
 * @param what for the message: `an image stream`
 * @throws {TagferryError} CLUSTER_ANSWER
 */
export function parseAnswer<T>(
  schema: z.ZodType<T>,
  body: unknown,
  { what, where }: { readonly what: string; readonly where: string },
): T {
  const parsed = schema.safeParse(body, FIRST_ISSUE);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue && issue.path.length > 0 ? `${issue.path.join(".")}: ` : "";
  throw new TagferryError("CLUSTER_ANSWER", `${where}: the API server did not answer with ${what}`, {
    where,
    found: printable(`${at}${issue?.message ?? "not readable"}`, { maxLength: 200 }),
  });
}

const statusSchema = z.object({
  message: z
    .string()
    .transform((text) => text.slice(0, MESSAGE_MAX_LENGTH))
    .catch(""),
  reason: z.string().optional().catch(undefined),
  code: z.number().optional().catch(undefined),
});

/** A Kubernetes `Status` object. It gives the reason of a failure. */
export type ApiStatus = z.infer<typeof statusSchema>;

/** The Status in an answer. What is no Status gives no reason: the HTTP status is enough. */
export function apiStatusOf(body: unknown): ApiStatus {
  const parsed = statusSchema.safeParse(body);
  return parsed.success ? parsed.data : { message: "" };
}
