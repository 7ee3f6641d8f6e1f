import { execFileSync } from "node:child_process";

import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

export type TestBrowser = AsyncDisposable & {
  /** Opens a separate page without cookies. All complaints of the browser are recorded. */
  open(options?: BrowserContextOptions): Promise<TestPage>;
};

export type TestPage = AsyncDisposable & {
  readonly page: Page;
  /** Scripts that failed, dialogs that opened, and what the content security policy refused. */
  readonly complaints: readonly string[];
};

/** Debian's Chromium. Started once per test file, because the start takes longer than most tests. */
export async function openBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({ executablePath: pathOfChromium(), args: ["--no-sandbox"] });
  return { open: (options) => openPage(browser, options), [Symbol.asyncDispose]: () => browser.close() };
}

function pathOfChromium(): string {
  try {
    return execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  } catch (cause) {
    throw new Error(
      "Chromium is missing: apt-get update && apt-get install -y --no-install-recommends chromium",
      { cause },
    );
  }
}

async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<TestPage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    // the page itself shows an answer of 401 or 403 and an unavailable daemon
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      complaints.push(message.text());
  });
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/** The accessibility problems that axe-core finds, one per line. */
export async function barriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(
    "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))",
  );
  return found as readonly string[];
}
