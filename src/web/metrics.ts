import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

import {
  type DaemonView,
  type Health,
  MIRROR_STATES,
  type MirrorStatus,
  type Observation,
} from "../daemon/view/view.ts";

export type Metrics = Disposable & {
  readonly contentType: string;
  /**
   * All metrics in the Prometheus text format. Unknown values (Redis is unavailable) and values that are not numbers
   * are left out. Callers during a scrape get the result of this scrape.
   */
  text(): Promise<string>;
};

/** From a push detected within seconds to a push found by a daily run. */
const FRESHNESS_BUCKETS_S = [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400];

/** Gauges are read from the daemon at each scrape. Counters count the events of this process. */
export function openMetrics(view: DaemonView): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "tagferry_" });
  const scrape = openScrape(view);
  mirrorGauges(registry, scrape);
  daemonGauges(registry, scrape);
  const observing = view.observe(openCounters(registry, scrape));
  let scraping: Promise<string> | undefined;
  return {
    contentType: registry.contentType,
    text() {
      if (scraping) return scraping;
      scrape.begin();
      scraping = registry.metrics().finally(() => (scraping = undefined));
      return scraping;
    },
    [Symbol.dispose]() {
      observing[Symbol.dispose]();
      registry.clear();
    },
  };
}

/** The data of one scrape. Each question to the daemon is sent once for all gauges. */
type Scrape = {
  readonly begin: () => void;
  /** Empty when the mirrors cannot be read. */
  readonly mirrors: () => Promise<readonly MirrorStatus[]>;
  readonly mirrorsRead: () => Promise<boolean>;
  readonly health: () => Promise<Health | undefined>;
};

function openScrape(view: DaemonView): Scrape {
  let mirrors: Promise<readonly MirrorStatus[] | undefined> | undefined;
  let health: Promise<Health | undefined> | undefined;
  const read = (): Promise<readonly MirrorStatus[] | undefined> =>
    (mirrors ??= view.mirrors().catch(() => undefined));
  return {
    begin() {
      mirrors = undefined;
      health = undefined;
    },
    mirrors: async () => (await read()) ?? [],
    mirrorsRead: async () => (await read()) !== undefined,
    health: () => (health ??= view.health().catch(() => undefined)),
  };
}

type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number | undefined };

type GaugeOptions = {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly read: () => Promise<readonly Sample[]>;
};

/** A gauge with only the current values: a mirror that was removed leaves no line. */
function gauge(registry: Registry, { name, help, labels = [], read }: GaugeOptions): void {
  registry.registerMetric(
    new Gauge({
      name: `tagferry_${name}`,
      help,
      labelNames: [...labels],
      registers: [],
      async collect() {
        const samples = await read();
        this.reset();
        if (labels.length === 0 && !samples.some(({ value }) => Number.isFinite(value))) this.remove();
        for (const { labels: values, value } of samples)
          // a record from Redis may contain anything
          if (Number.isFinite(value)) this.set({ ...values }, value as number);
      },
    }),
  );
}

function mirrorGauges(registry: Registry, { mirrors }: Scrape): void {
  const each = (name: string, help: string, read: (mirror: MirrorStatus) => number | undefined): void =>
    gauge(registry, {
      name,
      help,
      labels: ["mirror"],
      read: async () =>
        (await mirrors()).map((mirror) => ({
          labels: { mirror: mirror.name },
          value: orUndefined(() => read(mirror)),
        })),
    });
  each(
    "mirror_last_success_timestamp_seconds",
    "When the last successful run of the mirror ended, in Unix time.",
    ({ lastSuccessAt }) => secondsOf(lastSuccessAt),
  );
  each(
    "mirror_lateness_seconds",
    "Seconds since the first due time after the last finished run.",
    ({ latenessS }) => latenessS,
  );
  each(
    "quarantined",
    "Tags that are skipped because work on them ended worker processes.",
    (mirror) => mirror.quarantined.length,
  );
  gauge(registry, {
    name: "mirror_state",
    help: "1 for the current state of the mirror, 0 for the others.",
    labels: ["mirror", "state"],
    read: async () =>
      (await mirrors()).flatMap(({ name, state: now }) =>
        MIRROR_STATES.map((state) => ({ labels: { mirror: name, state }, value: state === now ? 1 : 0 })),
      ),
  });
}

function daemonGauges(registry: Registry, { health, mirrorsRead }: Scrape): void {
  const one = (name: string, help: string, read: (health: Health) => number | undefined): void =>
    gauge(registry, {
      name,
      help,
      read: async () => {
        const now = await health();
        return [{ labels: {}, value: now && read(now) }];
      },
    });
  one("config_reload_ok", "1 while the configuration on disk is the one in force.", ({ config }) =>
    config.failure ? 0 : 1,
  );
  one(
    "config_loaded_timestamp_seconds",
    "When the configuration in force was read, in Unix time.",
    ({ config }) => secondsOf(config.loadedAt),
  );
  one(
    "redis_up",
    "1 while Redis answers and can be used; absent without Redis.",
    ({ redis }) => redis && (redis.kind === "up" ? 1 : 0),
  );
  gauge(registry, {
    name: "mirrors_read_ok",
    help: "1 while the state of the mirrors can be read; 0: metrics of mirrors are absent.",
    read: async () => [{ labels: {}, value: (await mirrorsRead()) ? 1 : 0 }],
  });
  gauge(registry, {
    name: "stream_watch_up",
    help: "1 while the image streams of a namespace are watched; otherwise changes by others are found at the next due time.",
    labels: ["namespace"],
    read: async () =>
      ((await health())?.streamWatches ?? []).map(({ namespace, kind }) => ({
        labels: { namespace },
        value: kind === "watching" ? 1 : 0,
      })),
  });
  gauge(registry, {
    name: "jobs",
    help: "Jobs in the queue.",
    labels: ["state"],
    read: async () =>
      Object.entries((await health())?.jobs ?? {}).map(([state, value]) => ({ labels: { state }, value })),
  });
  gauge(registry, {
    name: "registry_pulls_left",
    help: "Pulls that are left, as the registry last reported.",
    labels: ["registry"],
    read: async () =>
      ((await health())?.rateLimits ?? []).map((rateLimit) => ({
        labels: { registry: rateLimit.registry },
        value: rateLimit.pullsLeft,
      })),
  });
}

function openCounters(registry: Registry, { mirrors }: Scrape): (observation: Observation) => void {
  const registers = [registry];
  const missed = new Counter({
    name: "tagferry_mirror_missed_total",
    help: "Due times that passed while no daemon ran.",
    labelNames: ["mirror"],
    registers,
    // starts at 0, so that the first event is an increase
    async collect() {
      for (const { name } of await mirrors()) this.inc({ mirror: name }, 0);
    },
  });
  const outcomes = new Counter({
    name: "tagferry_outcomes_total",
    help: "Results of tags.",
    labelNames: ["mirror", "kind"],
    registers,
  });
  const bytes = new Counter({
    name: "tagferry_bytes_total",
    help: "Bytes sent to the target.",
    labelNames: ["mirror"],
    registers,
  });
  const requests = new Counter({
    name: "tagferry_registry_requests_total",
    help: "Answers of registries.",
    labelNames: ["registry", "class"],
    registers,
  });
  const freshness = new Histogram({
    name: "tagferry_tag_freshness_seconds",
    help: "From the earliest time at which the source can have moved to the publication of the tag.",
    buckets: FRESHNESS_BUCKETS_S,
    registers,
  });
  return (observation) => {
    switch (observation.kind) {
      case "outcome": {
        const { mirror, outcome, freshnessS } = observation;
        outcomes.inc({ mirror, kind: outcome });
        bytes.inc({ mirror }, observation.bytes);
        if (freshnessS !== undefined) freshness.observe(freshnessS);
        return;
      }
      case "request":
        return requests.inc({ registry: observation.registry, class: observation.class });
      case "missed":
        return missed.inc({ mirror: observation.mirror });
    }
  };
}

/** An invalid record removes only its own line. */
function orUndefined(read: () => number | undefined): number | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function secondsOf(iso: string | undefined): number | undefined {
  return iso === undefined ? undefined : Date.parse(iso) / 1000;
}
