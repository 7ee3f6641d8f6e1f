import { readFileSync } from "node:fs";

import { jsonSchema } from "../src/config/file/schema.ts";
import { ERROR_CODES } from "../src/errors/codes.ts";
import type { ErrorClass } from "../src/errors/facts.ts";
import { openApi } from "../src/web/api/openapi.ts";
import { commandsPage, manPage } from "./command-documents.ts";
import { badInputs } from "./rows.ts";

/** The files that are generated from the code: path → text. A test compares them with the files. */
export function documents(): ReadonlyMap<string, string> {
  return new Map([
    ["config/schema.json", `${JSON.stringify(jsonSchema(), undefined, 2)}\n`],
    ["docs/commands.md", commandsPage()],
    ["docs/config.md", configuration()],
    ["docs/errors.md", errors()],
    ["docs/tagferry.1", manPage()],
    ["docs/openapi.json", `${JSON.stringify(openApi(), undefined, 2)}\n`],
    ["helm/values.schema.json", chartValues()],
  ]);
}

/** Keys of the daemon that the chart sets itself. */
const CHART_SETS = [
  "redis",
  "listen",
  "healthListen",
  "tokenFile",
  "readTokenFile",
  "jobKeyFile",
  "webhooks",
] as const;

/** The schema of the chart's values, with the schema of the configuration file under `config`. */
function chartValues(): string {
  const values = JSON.parse(readFileSync(new URL("../helm/values.schema.json", import.meta.url), "utf8")) as {
    properties: { config: unknown };
  };
  const {
    $schema: _,
    title: __,
    ...config
  } = structuredClone(jsonSchema()) as Schema & {
    $schema: string;
    title: string;
    properties: {
      daemon: { properties: Record<string, unknown> };
      mirrors: { minItems?: number };
    };
  };
  for (const key of CHART_SETS) delete config.properties.daemon.properties[key];
  // the chart has a better message for a file without mirrors
  delete config.properties.mirrors.minItems;
  values.properties.config = config;
  return `${JSON.stringify(values, undefined, 2)}\n`;
}

type Schema = {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
};

function configuration(): string {
  const root = jsonSchema() as Schema;
  const { registries, clusters, daemon, mirrors } = root.properties ?? {};
  const mirror = mirrors?.items ?? {};
  const rules = mapAmong(mirror.properties?.["tags"]);
  return `# The configuration file

This page is generated from the code. The configuration is one YAML file. It is checked strictly: an unknown key is an error with a suggestion, and
all problems are reported together, with line and column. Editors can complete keys with [config/schema.json](../config/schema.json), which
\`tagferry schema\` prints:

\`\`\`yaml
# yaml-language-server: $schema=./schema.json
\`\`\`

In values, \`\${NAME}\` and \`\${NAME:-default}\` are replaced by environment variables. Paths are relative to the file. Durations are whole numbers with a
unit: \`30s\`, \`15m\`, \`12h\`, \`90d\`. The file never contains secrets. [config/quickstart.yaml](../config/quickstart.yaml) is a short start,
[config/example.yaml](../config/example.yaml) shows the keys.

## The file

${keys(root)}
## \`registries.HOST\`

${keys(valueOf(registries))}
## \`registries.HOST.credentials\`

${keys(valueOf(registries).properties?.["credentials"] ?? {})}

## \`registries.HOST.timeouts\`

${keys(valueOf(registries).properties?.["timeouts"] ?? {})}
## \`clusters.NAME\`

${keys(valueOf(clusters))}
## \`mirrors[]\`

${keys(mirror)}
## \`mirrors[].tags\` as rules

${rules.description ?? ""}

${keys(rules)}
## \`mirrors[].prune\`

${keys(mirror.properties?.["prune"] ?? {})}
## \`daemon\`

${keys(daemon ?? {})}
## \`daemon.redis\` as a map

${keys(mapAmong(daemon?.properties?.["redis"]))}
## \`daemon.webhooks\`

${keys(daemon?.properties?.["webhooks"] ?? {})}
## \`daemon.webhooks.secretFiles\`

${keys(daemon?.properties?.["webhooks"]?.properties?.["secretFiles"] ?? {})}
## \`daemon.trustForwardedUser\` as a map

${keys(mapAmong(daemon?.properties?.["trustForwardedUser"]))}`;
}

/** The map, when a value can be written as a map or as something else. */
function mapAmong(schema: Schema | undefined): Schema {
  return schema?.anyOf?.find(({ properties }) => properties !== undefined) ?? {};
}

function valueOf(schema: Schema | undefined): Schema {
  return typeof schema?.additionalProperties === "object" ? schema.additionalProperties : {};
}

function keys({ properties = {}, required = [] }: Schema): string {
  const rows = Object.entries(properties).map(([key, schema]) => {
    const { description = "", examples = [] } = schema;
    const fallback =
      schema.default === undefined
        ? ""
        : ` Default: \`${JSON.stringify(schema.default).replaceAll('"', "")}\`.`;
    const example =
      examples.length === 0
        ? ""
        : code(examples.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join("  "));
    return `| \`${key}\`${required.includes(key) ? " (required)" : ""} | ${typeOf(schema)} | ${description.replaceAll("|", "\\|")}${fallback} | ${example} |`;
  });
  return `| key | type | what it does | example |\n|---|---|---|---|\n${rows.join("\n")}\n`;
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.enum) return schema.enum.map((one) => code(String(one))).join(", ");
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.type === "object") return schema.properties ? "map, see below" : "map by name";
  const words: Readonly<Record<string, string>> = {
    string: "text",
    integer: "whole number",
    number: "number",
    boolean: "true or false",
  };
  const types: readonly unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
  return types.map((type) => words[String(type)] ?? String(type)).join(" or ");
}

/** Bad inputs of other mirroring tools that cannot occur here. This list is written by hand. */
export const DOES_NOT_APPLY: readonly { readonly row: string; readonly reason: string }[] = [
  {
    row: "A35",
    reason:
      "Mirrors have one direction, so cycles of mirrors are not searched. A mirror from a repository to itself is `CONFIG_SELF`.",
  },
  { row: "A37", reason: "Targets are written in full; there are no templates." },
  {
    row: "A38, first half",
    reason: "There is no list of protected tags: only tags that the mirror owns are pruned.",
  },
  {
    row: "A27",
    reason:
      "A tag with a digest is a pin (`1.27@sha256:…` under `tags`); a tag or digest in `source` is `CONFIG_REPOSITORY`.",
  },
  {
    row: "B3, B5, B7, B9",
    reason: "No two flags exclude each other. No command has `--since`, writes an archive, or prompts.",
  },
  {
    row: "D36",
    reason: "Tagferry makes no conditional requests, so a 304 is `HTTP_PROTOCOL`.",
  },
  { row: "D59, D60", reason: "There are no signature policies yet." },
  { row: "A48", reason: "Signature policies are not accepted: `require` is an unknown key." },
];

const EXITS: Readonly<Record<ErrorClass, string>> = {
  usage: "3",
  credentials: "4",
  policy: "5",
  source: "1 or 2",
  target: "1 or 2",
  environment: "1 or 2",
};

function errors(): string {
  const rows = Object.entries(ERROR_CODES).map(([name, facts]) => {
    const retry = "retry" in facts ? (facts.retry === "again" ? "at once" : "later") : "no";
    return `| \`${name}\` | ${facts.class} | ${cell(facts.meaning)} | ${cell(inCapitals(facts.next))} | ${retry} |`;
  });
  return `# Error codes

This page is generated from the code. Codes are stable: scripts can match them. Messages may change. Every failure has a code and says where it
happened, what was found, what is allowed, and what to do next.

| class | exit code when all failures have this class |
|---|---|
${Object.entries(EXITS)
  .map(([name, exit]) => `| ${name} | ${exit} |`)
  .join("\n")}

1: some tags failed and others did not. 2: all tags failed, or the run could not start.

| code | class | what it means | what to do | retry |
|---|---|---|---|---|
${rows.join("\n")}

## Bad input and the answer

Each row is a test with this name. The table is generated from the tests.

| row | input | answer |
|---|---|---|
${badInputs()
  .map(
    ({ row, what, codes, exit }) =>
      `| ${row} | ${cell(what)} | ${codes.map(code).join(", ") || exit || "it works"} |`,
  )
  .join("\n")}

## Rows that do not apply

| row | why |
|---|---|
${DOES_NOT_APPLY.map(({ row, reason }) => `| ${row} | ${cell(reason)} |`).join("\n")}
`;
}

/** An advice without a failure: its facts as words in capitals. */
function inCapitals(advice: string): string {
  return advice.replaceAll(/\{([a-z]+)\}/g, (_, word: string) => word.toUpperCase());
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
