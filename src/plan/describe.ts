import { oneLine } from "../lib/pretty.ts";
import { shortDigest } from "../oci/digest.ts";
import type { Action } from "./action.ts";

/** An Action as one line for people: a sign, the tag, the result, and the reason. */
export function describe(action: Action): string {
  const { tag } = action;
  switch (action.kind) {
    case "create":
      return `+ ${tag}  ${shortDigest(action.image.digest)}  ${oneLine(action.reason)}`;
    case "update": {
      const change = action.replaces === undefined ? "" : `${shortDigest(action.replaces)} → `;
      return `~ ${tag}  ${change}${shortDigest(action.image.digest)}  ${oneLine(action.reason)}`;
    }
    case "push":
      return `> ${tag}  ${shortDigest(action.image.digest)}  ${oneLine(action.reason)}`;
    case "keep":
      return `= ${tag}  ${shortDigest(action.digest)}  ${oneLine(action.reason)}`;
    case "prune":
      return `- ${tag}  ${action.digest ? `${shortDigest(action.digest)}  ` : ""}${oneLine(action.reason)}`;
    case "remember":
      return `. ${tag}  ${oneLine(action.reason)}`;
    case "refuse":
      return `! ${tag}  ${action.failure.code}  ${oneLine(action.failure.message)}`;
  }
}
