import { once } from "node:events";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { barriers, openBrowser, type TestBrowser } from "../../support/browser.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { ago, digest, failure, finishedRun, freshMirror, tagRecord } from "../../support/view.ts";
import { openTestWeb, TOKEN, type TestWeb } from "../../support/web.ts";

let browser: TestBrowser;

beforeAll(async () => {
  browser = await openBrowser();
});

afterAll(async () => {
  await browser[Symbol.asyncDispose]();
});

const LIVE = "#live:not([hidden])";

describe("a person", () => {
  test("has a mirror checked by one click, stays where he is and is told", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("api"));
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/`);
    await tab.page.locator(LIVE).waitFor();
    await tab.page.getByRole("button", { name: "Sync now api" }).click();
    await tab.page.getByRole("status").getByText("api is queued.").waitFor();
    expect(web.view.asked).toEqual([{ kind: "sync", mirror: "api", by: "somebody at 127.0.0.1" }]);
    expect(tab.page.url()).toBe(`${web.url}/`);
    expect(tab.complaints).toEqual([]);
  });

  test("pauses a mirror, and finds a button to resume it", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("api"));
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/mirrors/api`);
    web.view.pause = async () => {
      web.view.set(freshMirror("api", { state: "paused", pausedAt: ago(1), pausedBy: "alice" }));
      return true;
    };
    await tab.page.getByRole("button", { name: "Pause api" }).click();
    await tab.page.getByRole("button", { name: "Resume api" }).waitFor();
    expect(await tab.page.locator(".facts").innerText()).toMatch(/paused .* by alice/);
  });

  test("sees a copy move, without asking for the page again", async () => {
    await using web = await openTestWeb();
    const running = (bytes: number) => {
      const progress = {
        mirror: "api",
        tag: "2.0",
        bytes,
        totalBytes: 1_000,
        startedAt: ago(10),
        at: ago(0),
      };
      web.view.set(
        freshMirror("api", { state: "running", underWay: [{ ...progress, bytesPerSecond: 2_048 }] }),
      );
      web.view.emit({ kind: "progress", mirror: "api", progress });
    };
    running(100);
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/mirrors/api`);
    await tab.page.locator(LIVE).waitFor();
    await tab.page.locator("progress[value='10']").waitFor();
    await tab.page.evaluate("window.stayed = true");
    running(420);
    await tab.page.locator("progress[value='42']").waitFor();
    expect(await tab.page.locator(".amount").textContent()).toMatch(/42 % · 420 B of 1000 B\s+· 2.0 KiB\/s/);
    web.view.set(freshMirror("api"));
    web.view.emit({ kind: "mirror", mirror: "api" });
    await tab.page.locator("progress").waitFor({ state: "detached" });
    expect(await tab.page.evaluate("window.stayed")).toBe(true);
  });

  test("keeps what he opened and where he is while the page changes", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("api"), { tags: [tagRecord("1.0"), tagRecord("2.0")] });
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/mirrors/api`);
    await tab.page.locator(LIVE).waitFor();
    await tab.page.locator("details summary").first().click();
    await tab.page.getByRole("button", { name: "Sync now" }).focus();
    web.view.set(freshMirror("api"), {
      tags: [
        tagRecord("1.0", { last: "copied", publishedAt: ago(2), digest: digest("c") }),
        tagRecord("2.0"),
      ],
    });
    web.view.emit({ kind: "run", mirror: "api", run: "x", state: "done" });
    await tab.page.getByText("copied").waitFor();
    expect(await tab.page.locator("details[open]").count()).toBe(1);
    expect(await tab.page.evaluate("document.activeElement.textContent")).toMatch(/Sync now/);
  });

  test("reads what failed on the first page, and what to do next on the mirror's", async () => {
    await using web = await openTestWeb();
    const tags = [tagRecord("1.0"), tagRecord("2.0", { last: "failed", failure: failure() })];
    web.view.set(freshMirror("api", { state: "failing", failedTags: 1 }), {
      tags,
      runs: [finishedRun("api", { state: "partial" })],
    });
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/`);
    await tab.page.getByText("1 tag failed").waitFor();
    await tab.page.getByRole("link", { name: "api" }).click();
    const box = tab.page.locator(".failure");
    await box.getByText("RATE_LIMITED").waitFor();
    await box.getByText("docker.io asks us to slow down: 429").waitFor();
    await box.getByText("Wait until the time that is shown").waitFor();
    expect(await tab.page.locator(".tags th .tag").allTextContents()).toEqual(["2.0", "1.0"]);
    expect(await tab.page.locator(".digest").first().getAttribute("title")).toBe(digest("a"));
  });

  test("learns at once that the configuration on disk is broken", async () => {
    await using web = await openTestWeb();
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/`);
    await tab.page.locator(LIVE).waitFor();
    const { config } = await web.view.health();
    const broken = failure({
      code: "CONFIG_SYNTAX",
      message: "bad indentation",
      details: { where: "tagferry.yaml:3:1" },
    });
    web.view.setHealth({ config: { ...config, failure: broken } });
    web.view.emit({ kind: "config", ok: false });
    await tab.page.getByRole("heading", { name: "The configuration on disk is broken" }).waitFor();
    expect(await tab.page.locator(".banner").innerText()).toContain("at tagferry.yaml:3:1");
  });

  test("logs in, is told when the token is wrong, and logs out", async () => {
    await using web = await openTestWeb({ token: async () => TOKEN });
    web.view.set(freshMirror("api"));
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/mirrors/api`);
    await tab.page.getByLabel("Token").fill("wrong");
    await tab.page.getByRole("button", { name: "Log in" }).click();
    await tab.page.getByRole("alert").getByText("That is not the token.").waitFor();
    await tab.page.getByLabel("Token").fill(TOKEN);
    await tab.page.keyboard.press("Enter");
    await tab.page.getByRole("heading", { name: "api", exact: true }).waitFor();
    expect(tab.page.url()).toBe(`${web.url}/mirrors/api`);
    await tab.page.locator(LIVE).waitFor();
    await tab.page.getByRole("button", { name: "Sync now" }).click();
    await tab.page.getByText("api is queued.").waitFor();
    expect(await tab.page.evaluate("document.cookie")).toBe("");
    await tab.page.getByRole("button", { name: "Log out" }).click();
    await tab.page.getByRole("heading", { name: "Log in" }).waitFor();
    expect(tab.complaints).toEqual([]);
  });

  test("reads and acts without JavaScript too", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("api"), { tags: [tagRecord("1.0")] });
    await using tab = await browser.open({ javaScriptEnabled: false });
    await tab.page.goto(`${web.url}/`);
    await tab.page.getByRole("button", { name: "Sync now api" }).click();
    await tab.page.waitForURL(`${web.url}/`);
    expect(web.view.asked).toMatchObject([{ kind: "sync", mirror: "api" }]);
    await tab.page.getByRole("link", { name: "api" }).click();
    await tab.page.getByRole("rowheader", { name: "1.0" }).waitFor();
  });

  test("sees that the daemon is away, and the page follows again when it is back", async () => {
    const first = await openTestWeb();
    const port = Number(new URL(first.url).port);
    await using tab = await browser.open();
    await tab.page.goto(`${first.url}/`);
    await tab.page.locator(LIVE).waitFor();
    await first.close();
    await tab.page.locator("#live").waitFor({ state: "hidden" });
    await using second = await openTestWeb({ settings: { host: "127.0.0.1", port } });
    second.view.set(freshMirror("new-one"));
    await tab.page.locator(LIVE).waitFor();
    await tab.page.getByRole("link", { name: "new-one" }).waitFor();
    expect(tab.page.url()).toBe(`${first.url}/`);
  });
});

async function openMany(web: TestWeb) {
  for (const name of ["api", "web", "db", "nginx"]) web.view.set(freshMirror(name));
  web.view.set(freshMirror("broken", { state: "failing", failure: failure() }));
  const tab = await browser.open();
  await tab.page.goto(`${web.url}/`);
  await tab.page.locator(LIVE).waitFor();
  return tab;
}

describe("in a list of many mirrors, a person", () => {
  test("searches by keyboard alone, and the address keeps it", async () => {
    await using web = await openTestWeb();
    await using tab = await openMany(web);
    await tab.page.keyboard.press("/");
    await tab.page.keyboard.type("ngi");
    await tab.page.waitForURL(`${web.url}/?q=ngi`);
    await tab.page.locator("#m-api").waitFor({ state: "detached" });
    expect(await tab.page.locator(".mirrors tbody tr").count()).toBe(1);
    expect(await tab.page.evaluate("document.activeElement.id")).toBe("q");
    await tab.page.reload();
    expect(await tab.page.locator(".mirrors tbody tr").count()).toBe(1);
    await tab.page.keyboard.press("/");
    await tab.page.keyboard.press("Escape");
    await tab.page.locator("#m-api").waitFor();
    expect(tab.complaints).toEqual([]);
  });

  test("has several mirrors checked at once, and is told how many", async () => {
    await using web = await openTestWeb();
    await using tab = await openMany(web);
    await tab.page.getByLabel("Select api").check();
    await tab.page.getByLabel("Select nginx").check();
    await tab.page.getByText("2 selected:").waitFor();
    await tab.page.getByRole("button", { name: "Sync now", exact: true }).click();
    await tab.page.getByRole("status").getByText("2 queued.").waitFor();
    expect(web.view.asked.map((asked) => ("mirror" in asked ? asked.mirror : ""))).toEqual(["api", "nginx"]);
    await tab.page.getByLabel("Select all").check();
    await tab.page.getByRole("button", { name: "Pause", exact: true }).click();
    await tab.page.getByRole("status").getByText("5 paused.").waitFor();
    expect(tab.complaints).toEqual([]);
  });

  test("keeps a tick at its mirror when the order changes", async () => {
    await using web = await openTestWeb();
    await using tab = await openMany(web);
    await tab.page.getByLabel("Select nginx").check();
    web.view.set(freshMirror("nginx", { state: "failing", failure: failure() }));
    web.view.emit({ kind: "mirror", mirror: "nginx" });
    await tab.page.locator("#m-nginx .badge.is-failing").waitFor();
    const ticked = "[...document.querySelectorAll('tbody :checked')].map((one) => one.value).join()";
    expect(await tab.page.evaluate(ticked)).toBe("nginx");
  });

  test("does all of it without JavaScript too", async () => {
    await using web = await openTestWeb();
    await using scripted = await openMany(web);
    await scripted.page.close();
    await using tab = await browser.open({ javaScriptEnabled: false });
    await tab.page.goto(`${web.url}/`);
    await tab.page.getByLabel("Search mirrors").fill("ngi");
    await tab.page.getByRole("button", { name: "Show" }).click();
    expect(await tab.page.locator(".mirrors tbody tr").count()).toBe(1);
    await tab.page.getByLabel("Select nginx").check();
    await tab.page.getByRole("button", { name: "Pause", exact: true }).click();
    await tab.page.waitForURL(`${web.url}/?q=ngi`);
    expect(web.view.asked).toMatchObject([{ kind: "pause", mirror: "nginx" }]);
  });

  test("reads times in his own zone, and finds that of the schedule in the title", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("api", { lastRunAt: "2026-01-15T12:00:00.000Z" }));
    await using tab = await browser.open({ timezoneId: "America/New_York" });
    await tab.page.goto(`${web.url}/mirrors/api`);
    const time = tab.page.locator("time[datetime='2026-01-15T12:00:00.000Z']").first();
    await time.getByText("07:00 GMT-5").waitFor();
    expect(await time.getAttribute("title")).toMatch(/13:00 (?:CET|GMT\+1)/);
  });

  test("cancels a run on the page of its mirror", async () => {
    await using web = await openTestWeb();
    const run = { id: "x", cause: "schedule" as const, startedAt: ago(9), expected: 9, done: 2 };
    web.view.set(freshMirror("api", { state: "running", run }));
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/mirrors/api`);
    await tab.page.locator(LIVE).waitFor();
    await tab.page.getByRole("button", { name: "Cancel run api" }).click();
    await tab.page.getByRole("status").getByText("The run of api is cancelled.").waitFor();
    expect(web.view.asked).toMatchObject([{ kind: "cancel", mirror: "api" }]);
  });
});

describe("another site (T17)", () => {
  test("can neither frame the page nor act through who looks at it", async () => {
    await using web = await openTestWeb({ token: async () => TOKEN });
    web.view.set(freshMirror("api"));
    await using tab = await browser.open();
    await tab.page.goto(`${web.url}/`);
    await tab.page.getByLabel("Token").fill(TOKEN);
    await tab.page.keyboard.press("Enter");
    await tab.page.locator(".mirrors").waitFor();
    // for a browser, another port of this machine is the same site: it sends the cookie, and only Origin differs
    const evil = createServer((_, response) => {
      response.setHeader("content-type", "text/html");
      response.end(
        `<iframe src="${web.url}/"></iframe><form method="post" action="${web.url}/mirrors/api/sync"><button>win</button></form>`,
      );
    });
    evil.listen(0, "127.0.0.1");
    await once(evil, "listening");
    await tab.page.goto(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`);
    const frame = tab.page.frames().find((one) => one !== tab.page.mainFrame());
    expect(await frame?.locator(".mirrors").count()).toBe(0);
    const [answer] = await Promise.all([
      tab.page.waitForResponse(`${web.url}/mirrors/api/sync`),
      tab.page.getByRole("button").click(),
    ]);
    expect(answer.status()).toBe(403);
    expect(web.view.asked).toEqual([]);
    evil.close();
    evil.closeAllConnections();
  });
});

const HOSTILE = [
  "<img src=x onerror=alert(1)>",
  "</code></script><script>alert(1)</script>",
  '" onmouseover="alert(1)" x="',
  "'><svg/onload=alert(1)>",
  "javascript:alert(1)",
  "\u202egpj.exe\u2066",
  "\u001b[31mred\u0000",
  "`<b>code</b>`",
  "{{constructor.constructor('alert(1)')()}}",
];

function setHostile({ view }: TestWeb, hostile: string): void {
  const failed = failure({ message: hostile, next: hostile, details: { where: hostile } });
  const progress = {
    mirror: hostile,
    tag: hostile,
    bytes: 1,
    startedAt: ago(1),
    at: ago(1),
    bytesPerSecond: 1,
  };
  view.set(
    freshMirror(hostile, {
      source: hostile,
      target: hostile,
      storage: hostile,
      state: "failing",
      failedTags: 1,
      failure: failed,
      underWay: [progress],
      quarantined: [{ mirror: hostile, key: hostile, tag: hostile, since: ago(1), crashes: 3 }],
    }),
    {
      tags: [tagRecord(hostile, { failure: failed, last: "failed" })],
      runs: [finishedRun(hostile, { failure: failed, warnings: [failed] })],
    },
  );
}

test("names and texts from outside are shown, and do nothing", async () => {
  await using web = await openTestWeb();
  for (const hostile of HOSTILE) setHostile(web, hostile);
  const all = HOSTILE.join(" ");
  web.view.setHealth({
    reasons: [all],
    version: all,
    rateLimits: [{ registry: all, connections: 1, inUse: 0 }],
    redis: { kind: "unfit", reason: all },
  });
  await using tab = await browser.open();
  for (const path of [...HOSTILE.map((hostile) => `/mirrors/${encodeURIComponent(hostile)}`), "/"]) {
    await tab.page.goto(`${web.url}${path}`);
    expect(await tab.page.locator("img").count(), path).toBe(1);
    const injected = tab.page.locator(
      "main :is(script, svg:not(.strip), b:not(.filters b), [onmouseover], [x])",
    );
    expect(await injected.count(), path).toBe(0);
    const text = await tab.page.locator("body").innerText();
    // oxlint-disable-next-line no-control-regex -- these must not be there
    expect(text).not.toMatch(/[\u0000\u001b\u202e\u2066]/);
  }
  await tab.page.locator(LIVE).waitFor();
  await tab.page.locator(".c-do button").first().click();
  await tab.page.getByRole("status").getByText("is queued.").waitFor();
  const [asked] = web.view.asked;
  expect(HOSTILE).toContain(asked && "mirror" in asked && asked.mirror);
  expect(tab.complaints).toEqual([]);
});

/** One mirror in every state, and a daemon with every trouble. */
async function fill({ view }: TestWeb): Promise<void> {
  const failed = failure();
  view.set(
    freshMirror("payments-api", {
      state: "failing",
      failedTags: 2,
      failingSince: ago(7_200),
      failure: failed,
    }),
    {
      tags: [
        tagRecord("2.8.1", { last: "failed", failure: failed, history: [] }),
        tagRecord("2.8.0", { last: "refused", failure: failed }),
        tagRecord("latest", { last: "copied" }),
      ],
      runs: [
        finishedRun("payments-api", { state: "partial", warnings: [failed] }),
        finishedRun("payments-api", { state: "failed", failure: failed }),
        finishedRun("payments-api"),
      ],
    },
  );
  const progress = {
    mirror: "a",
    tag: "1-72.1758000000",
    bytes: 12_000_000,
    startedAt: ago(9),
    at: ago(0),
    bytesPerSecond: 1_000_000,
  };
  view.set(
    freshMirror("ubi", {
      state: "running",
      underWay: [
        { ...progress, totalBytes: 31_000_000 },
        { ...progress, tag: "2" },
      ],
    }),
  );
  view.set(freshMirror("fresh-one"));
  view.set(freshMirror("nightly", { state: "late", latenessS: 5_400 }));
  view.set(
    freshMirror("gpu", {
      state: "quarantined",
      quarantined: [{ mirror: "gpu", key: "k", tag: "2.19", since: ago(99), crashes: 3 }],
    }),
  );
  view.set(freshMirror("legacy", { state: "paused", pausedAt: ago(99_999), pausedBy: "alice" }));
  view.set(freshMirror("brand-new", { state: "waiting", tags: 0 }));
  const { config } = await view.health();
  view.setHealth({
    config: { ...config, failure: failed },
    redis: { kind: "away", since: ago(9), reason: "connection refused" },
    reasons: ["stopping"],
  });
}

describe.for(["light", "dark"] as const)("in %s colours", (colorScheme) => {
  test.for([1280, 360])("everybody can use it, %d pixels wide", async (width) => {
    await using directory = await temporaryDirectory();
    await using web = await openTestWeb({ token: async () => TOKEN });
    await fill(web);
    await using tab = await browser.open({ colorScheme, viewport: { width, height: 800 } });
    const look = async (name: string): Promise<void> => {
      expect(await barriers(tab.page), name).toEqual([]);
      expect(
        await tab.page.evaluate("document.documentElement.scrollWidth"),
        `${name} scrolls sideways`,
      ).toBe(width);
      const path = directory.join(`${name}.png`);
      await tab.page.screenshot({ path, fullPage: true });
      expect((await stat(path)).size).toBeGreaterThan(5_000);
    };
    await tab.page.goto(`${web.url}/`);
    await look("login");
    await tab.page.getByLabel("Token").fill(TOKEN);
    await tab.page.keyboard.press("Enter");
    await tab.page.locator(LIVE).waitFor();
    await look("mirrors");
    await tab.page.goto(`${web.url}/mirrors/payments-api`);
    await tab.page.locator(LIVE).waitFor();
    await tab.page.locator("details summary").first().click();
    await look("mirror");
    const background = await tab.page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(background).toBe(colorScheme === "dark" ? "rgb(12, 21, 25)" : "rgb(243, 246, 247)");
    expect(tab.complaints).toEqual([]);
  });
});
