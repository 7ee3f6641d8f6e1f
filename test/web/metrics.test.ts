import { expect, test } from "vitest";

import { ask } from "../support/ask.ts";
import { freshMirror } from "../support/view.ts";
import { openTestWeb, TOKEN, type TestWeb } from "../support/web.ts";

/** Every name a dashboard or an alert may rely on, with its type and labels. */
const NAMES = {
  tagferry_mirror_last_success_timestamp_seconds: "gauge mirror",
  tagferry_mirror_lateness_seconds: "gauge mirror",
  tagferry_mirror_state: "gauge mirror state",
  tagferry_mirror_missed_total: "counter mirror",
  tagferry_stream_watch_up: "gauge namespace",
  tagferry_tag_freshness_seconds: "histogram ",
  tagferry_outcomes_total: "counter kind mirror",
  tagferry_bytes_total: "counter mirror",
  tagferry_registry_requests_total: "counter class registry",
  tagferry_registry_pulls_left: "gauge registry",
  tagferry_jobs: "gauge state",
  tagferry_mirrors_read_ok: "gauge ",
  tagferry_quarantined: "gauge mirror",
  tagferry_config_reload_ok: "gauge ",
  tagferry_config_loaded_timestamp_seconds: "gauge ",
  tagferry_redis_up: "gauge ",
};

type Samples = { readonly types: ReadonlyMap<string, string>; readonly values: ReadonlyMap<string, number> };

/** Parses the text format strictly: an invalid line fails. */
async function scrape(web: TestWeb): Promise<Samples> {
  const { status, headers, body } = await ask("GET", `${web.url}/metrics`);
  expect([status, headers["content-type"]]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  for (const line of body.toString().split("\n")) {
    const [, typed, type] = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (typed !== undefined && type !== undefined) types.set(typed, type);
    if (line === "" || line.startsWith("# ")) continue;
    const [, key, value] =
      /^(\w+(?:\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)+\})?) (-?[\d.e+-]+|\+Inf|Nan)$/.exec(line) ?? [];
    expect(key, line).toBeDefined();
    values.set(key ?? "", Number(value));
  }
  return { types, values };
}

test("has exactly the names that are promised, and the process's own", async () => {
  await using web = await openTestWeb();
  web.view.set(freshMirror("a"));
  web.view.observed({ kind: "outcome", mirror: "a", outcome: "copied", bytes: 1, freshnessS: 3 });
  web.view.observed({ kind: "request", registry: "quay.io", class: "2xx" });
  const { types, values } = await scrape(web);
  const ours = [...types].filter(([name]) => !/^tagferry_(process|nodejs)_/.test(name));
  const described = ours.map(([name, type]) => {
    const keys = [...values.keys()].filter((key) =>
      new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{|$)`).test(key),
    );
    const labels = new Set(
      keys.flatMap((key) => [...key.matchAll(/(\w+)="/g)].map(([, label]) => label ?? "")),
    );
    labels.delete("le");
    return [name, `${type} ${[...labels].toSorted().join(" ")}`];
  });
  expect(Object.fromEntries(described)).toEqual(NAMES);
  expect(types.has("tagferry_process_resident_memory_bytes")).toBe(true);
  expect(types.has("tagferry_nodejs_eventloop_lag_seconds")).toBe(true);
});

test("shows mirrors as they are at each scrape, and forgets those that are gone", async () => {
  await using web = await openTestWeb();
  const lastSuccessAt = "2026-01-01T00:00:00.000Z";
  web.view.set(freshMirror("a", { lastSuccessAt, latenessS: 90, state: "late" }));
  const first = await scrape(web);
  expect(first.values.get('tagferry_mirror_last_success_timestamp_seconds{mirror="a"}')).toBe(
    Date.parse(lastSuccessAt) / 1000,
  );
  expect(first.values.get('tagferry_mirror_lateness_seconds{mirror="a"}')).toBe(90);
  expect(first.values.get('tagferry_mirror_state{mirror="a",state="late"}')).toBe(1);
  expect(first.values.get('tagferry_mirror_state{mirror="a",state="fresh"}')).toBe(0);
  expect([...first.values.keys()].filter((key) => key.startsWith("tagferry_mirror_state"))).toHaveLength(8);
  expect(first.values.get('tagferry_mirror_missed_total{mirror="a"}')).toBe(0);

  const quarantined = [{ mirror: "a", key: "k", since: lastSuccessAt, crashes: 3 }];
  web.view.set(freshMirror("a", { state: "quarantined", quarantined }));
  const second = await scrape(web);
  expect(second.values.get('tagferry_mirror_state{mirror="a",state="late"}')).toBe(0);
  expect(second.values.get('tagferry_quarantined{mirror="a"}')).toBe(1);

  web.view.mirrors = async () => [];
  const third = await scrape(web);
  expect(
    [...third.values.keys()].filter((key) =>
      /^tagferry_(?:mirror_(?:state|late|last)|quarantined)/.test(key),
    ),
  ).toEqual([]);
});

test("has no time of a success for a mirror that never had one", async () => {
  await using web = await openTestWeb();
  const { lastSuccessAt: _, ...never } = freshMirror("a");
  web.view.set(never);
  const { values } = await scrape(web);
  expect(values.has('tagferry_mirror_last_success_timestamp_seconds{mirror="a"}')).toBe(false);
});

test("counts what is observed", async () => {
  await using web = await openTestWeb();
  web.view.observed({ kind: "outcome", mirror: "a", outcome: "copied", bytes: 1_000, freshnessS: 12 });
  web.view.observed({ kind: "outcome", mirror: "a", outcome: "copied", bytes: 24 });
  web.view.observed({ kind: "outcome", mirror: "a", outcome: "failed", bytes: 0 });
  web.view.observed({ kind: "request", registry: "quay.io", class: "429" });
  web.view.observed({ kind: "missed", mirror: "a" });
  const { values } = await scrape(web);
  expect(values.get('tagferry_outcomes_total{mirror="a",kind="copied"}')).toBe(2);
  expect(values.get('tagferry_outcomes_total{mirror="a",kind="failed"}')).toBe(1);
  expect(values.get('tagferry_bytes_total{mirror="a"}')).toBe(1_024);
  expect(values.get('tagferry_registry_requests_total{registry="quay.io",class="429"}')).toBe(1);
  expect(values.get('tagferry_mirror_missed_total{mirror="a"}')).toBe(1);
  expect(values.get("tagferry_tag_freshness_seconds_count")).toBe(1);
  expect(values.get('tagferry_tag_freshness_seconds_bucket{le="5"}')).toBe(0);
  expect(values.get('tagferry_tag_freshness_seconds_bucket{le="15"}')).toBe(1);
});

test("shows queue, rateLimits, configuration and Redis", async () => {
  await using web = await openTestWeb();
  const before = await scrape(web);
  expect(before.values.get('tagferry_jobs{state="waiting"}')).toBe(3);
  expect(before.values.get('tagferry_jobs{state="active"}')).toBe(2);
  expect(before.values.get('tagferry_jobs{state="delayed"}')).toBe(1);
  expect(before.values.get('tagferry_registry_pulls_left{registry="docker.io"}')).toBe(71);
  expect(before.values.has('tagferry_registry_pulls_left{registry="quay.io"}')).toBe(false);
  expect([before.values.get("tagferry_redis_up"), before.values.get("tagferry_config_reload_ok")]).toEqual([
    1, 1,
  ]);

  const { config } = await web.view.health();
  const failure = { code: "CONFIG_SYNTAX", message: "", next: "", details: {} } as const;
  web.view.setHealth({
    config: { ...config, failure },
    redis: { kind: "away", since: config.loadedAt, reason: "gone" },
  });
  const after = await scrape(web);
  expect([after.values.get("tagferry_redis_up"), after.values.get("tagferry_config_reload_ok")]).toEqual([
    0, 0,
  ]);
  expect(after.values.get("tagferry_config_loaded_timestamp_seconds")).toBe(
    Date.parse(config.loadedAt) / 1000,
  );
});

test("says nothing of Redis where there is none", async () => {
  await using web = await openTestWeb();
  const { redis: _, ...health } = await web.view.health();
  web.view.health = async () => health;
  expect((await scrape(web)).values.has("tagferry_redis_up")).toBe(false);
});

test("still answers while Redis, which knows the mirrors, is away", async () => {
  await using web = await openTestWeb();
  web.view.set(freshMirror("a"));
  web.view.observed({ kind: "missed", mirror: "a" });
  web.view.fail(new Error("away"));
  web.view.health = () => Promise.reject(new Error("away"));
  const { values } = await scrape(web);
  expect(values.get('tagferry_mirror_missed_total{mirror="a"}')).toBe(1);
  expect(values.has('tagferry_mirror_lateness_seconds{mirror="a"}')).toBe(false);
  expect(values.has("tagferry_config_reload_ok")).toBe(false);
});

test("is open to Prometheus although a token is set, and writes strange names as they must be", async () => {
  await using web = await openTestWeb({ token: async () => TOKEN });
  web.view.set(freshMirror('a"b\\c\nd'));
  const { values } = await scrape(web);
  expect(values.get('tagferry_mirror_lateness_seconds{mirror="a\\"b\\\\c\\nd"}')).toBe(0);
});

test("looks on no longer when it is closed", async () => {
  const web = await openTestWeb();
  await web.close();
  expect(web.view.observers()).toBe(0);
});
