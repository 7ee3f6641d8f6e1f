import type { Context } from "hono";

import { TagferryError } from "../errors/error.ts";

/** A whole number from the query. @throws {TagferryError} WEB_REQUEST */
export function numberIn(
  context: Context,
  key: string,
  { from, to, otherwise }: { readonly from: number; readonly to: number; readonly otherwise: number },
): number {
  const text = context.req.query(key);
  if (text === undefined) return otherwise;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= from && number <= to) return number;
  throw new TagferryError("WEB_REQUEST", `${key} is not a whole number from ${from} to ${to}`);
}
