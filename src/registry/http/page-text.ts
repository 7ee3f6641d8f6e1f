/**
 * The words of a web page, for a message: without tags, scripts and styles. Looks at each character a bounded number of
 * times, whatever the page holds; a tag that is never closed ends the text.
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

/** Where the closing tag of a script or a style begins; the tag itself where it is another one, or is never closed. */
function hiddenUntil(lower: string, tag: number): number {
  const name = ["script", "style"].find((one) => lower.startsWith(one, tag + 1));
  if (name === undefined) return tag;
  const closing = lower.indexOf(`</${name}`, tag);
  return closing === -1 ? lower.length : closing;
}
