import { expect, test } from "vitest";

import { openGuesses } from "../../../src/web/access/guesses.ts";
import { openSessions } from "../../../src/web/access/sessions.ts";
import { webApp } from "../../../src/web/app.ts";
import { openMetrics } from "../../../src/web/metrics.ts";
import { ask } from "../../support/ask.ts";
import { SILENT } from "../../support/registry/client.ts";
import { digest, failure, finishedRun, freshMirror, memoryView, tagRecord } from "../../support/view.ts";
import { openTestWeb } from "../../support/web.ts";

type Schema = {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
};
type Operation = {
  readonly summary?: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
};
type Description = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
};

async function described(): Promise<Description> {
  await using web = await openTestWeb();
  return JSON.parse((await ask("GET", `${web.url}/api/v1/openapi.json`)).body.toString()) as Description;
}

test("describes every route there is, and none that is not", async () => {
  const view = memoryView();
  using metrics = openMetrics(view);
  const app = webApp({
    view,
    metrics,
    access: {
      token: undefined,
      readToken: undefined,
      proxy: undefined,
      sessions: openSessions(view.sessions),
      guesses: openGuesses(),
    },
    webhooks: undefined,
    log: SILENT,
    closing: new AbortController().signal,
    heartbeatMs: 1_000,
    only: undefined,
  });
  const routes = app.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  const { paths } = await described();
  const known = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(known.toSorted()).toEqual([...new Set(routes)].toSorted());
});

test("says of each what it is for, what its path needs and what it answers", async () => {
  const { paths, components } = await described();
  for (const [path, operations] of Object.entries(paths))
    for (const [method, { summary, parameters = [], responses }] of Object.entries(operations)) {
      expect(summary, `${method} ${path}`).toMatch(/^\S.{5,}$/);
      expect(Object.keys(responses).length).toBeGreaterThan(0);
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name)).toEqual(
        named,
      );
    }
  const references = [...JSON.stringify(paths).matchAll(/#\/components\/schemas\/(\w+)/g)].map(
    ([, name]) => name ?? "",
  );
  for (const name of references) expect(Object.keys(components.schemas)).toContain(name);
});

/** The parts of a value that violate the schema or are not in it. */
function problems(
  value: unknown,
  schema: Schema,
  { schemas }: Description["components"],
  at = "$",
): readonly string[] {
  if (schema.$ref !== undefined) {
    const named = schemas[schema.$ref.split("/").at(-1) ?? ""];
    return named ? problems(value, named, { schemas }, at) : [`${at}: no ${schema.$ref}`];
  }
  if (schema.enum) return schema.enum.includes(value) ? [] : [`${at}: ${String(value)}`];
  const is = Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  if (schema.type !== is && !(schema.type === "number" && is === "integer"))
    return [`${at}: ${is}, not ${schema.type}`];
  if (schema.format === "date-time" && Number.isNaN(Date.parse(String(value)))) return [`${at}: no time`];
  if (schema.items)
    return (value as unknown[]).flatMap((item, index) =>
      problems(item, schema.items ?? {}, { schemas }, `${at}[${index}]`),
    );
  if (!schema.properties) return [];
  const { properties, required = [] } = schema;
  const record = value as Readonly<Record<string, unknown>>;
  return [
    ...required.filter((key) => !(key in record)).map((key) => `${at}.${key} is missing`),
    ...Object.entries(record).flatMap(([key, item]) => {
      const known = properties[key];
      return known ? problems(item, known, { schemas }, `${at}.${key}`) : [`${at}.${key} is not described`];
    }),
  ];
}

test.for([
  ["/api/v1/mirrors", 200],
  ["/api/v1/mirrors/a", 200],
  ["/api/v1/mirrors/b", 200],
  ["/api/v1/mirrors/none", 404],
  ["/api/v1/runs", 200],
  ["/api/v1/runs?limit=0", 400],
  ["/api/v1/health", 200],
  ["/readyz", 200],
] as const)("describes what GET %s answers with %d", async ([path, status]) => {
  await using web = await openTestWeb();
  const progress = {
    mirror: "a",
    tag: "1",
    bytes: 1,
    totalBytes: 2,
    startedAt: new Date().toJSON(),
    at: new Date().toJSON(),
    bytesPerSecond: 1.5,
  };
  const outcome = { kind: "failed", mirror: "a", tag: "1", failure: failure() } as const;
  const quarantined = [{ mirror: "a", key: "k", tag: "t", since: progress.at, crashes: 3 }];
  web.view.set(
    freshMirror("a", {
      underWay: [progress],
      quarantined,
      failure: failure(),
      pausedAt: progress.at,
      pausedBy: "x",
      failingSince: progress.at,
    }),
    {
      tags: [tagRecord("1", { failure: failure(), last: "failed" })],
      runs: [
        finishedRun("a", {
          outcomes: [outcome, { kind: "unchanged", mirror: "a", tag: "2", digest: digest("a") }],
          warnings: [failure()],
        }),
      ],
    },
  );
  const { schedule: _, storage: __, lastRunAt: ___, ...bare } = freshMirror("b");
  web.view.set(bare);
  const reply = await ask("GET", `${web.url}${path}`);
  expect(reply.status).toBe(status);
  const { paths, components } = await described();
  const operation = paths[(path.split("?")[0] ?? "").replace(/mirrors\/.*$/, "mirrors/{name}")]?.["get"];
  const schema = operation?.responses[status]?.content?.["application/json"]?.schema ?? {};
  expect(problems(JSON.parse(reply.body.toString()), schema, components)).toEqual([]);
});
