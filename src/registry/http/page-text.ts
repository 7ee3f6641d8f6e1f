/**
 * The text of a web page, for a message, without tags, scripts and styles. The work is linear in the length of the
 * page, whatever it contains. A tag that is never closed ends the text.
 */
export function pageText(page: string): string {
  const lower = page.toLowerCase();
  const words: string[] = [];
  for (let at = 0; at < page.length;) {
    const tag = page.indexOf("<", at);
    words.push(page.slice(at, tag === -1 ? undefined : tag));
    if (tag === -1) break;
    const end = page.indexOf(">", hiddenUntil(lower, tag));
    if (end === -1) break;
    at = end + 1;
  }
  return words.join(" ");
}

/**
 * The position of the closing tag of a script or style. For another tag, or without a closing tag, the position of the
 * tag itself.
 */
function hiddenUntil(lower: string, tag: number): number {
  const name = ["script", "style"].find((one) => lower.startsWith(one, tag + 1));
  if (name === undefined) return tag;
  const closing = lower.indexOf(`</${name}`, tag);
  return closing === -1 ? lower.length : closing;
}
