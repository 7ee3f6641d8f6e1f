import { HOOK_SENDERS } from "../../config/config.ts";
import { MIRROR_STATES } from "../../daemon/view/view.ts";
import { GROUP_KEYS, ROWS, SORT_KEYS } from "../pages/overview-query.ts";
import { ACTIONS, BULK_ACTIONS } from "./act.ts";
import { schemas } from "./openapi-schemas.ts";

type Operation = Readonly<Record<string, unknown>>;
type Path = Readonly<Record<string, Operation>>;

/** The OpenAPI 3.1 description of all routes. */
export function openApi(): Readonly<Record<string, unknown>> {
  return {
    openapi: "3.1.0",
    info: {
      title: "Tagferry",
      version: "1",
      summary: "The mirrors of the daemon and their state.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    security: [{ token: [] }, { session: [] }],
    paths: { ...apiPaths(), ...pagePaths(), ...openPaths(), ...hookPaths() },
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "The daemon's token." },
        session: {
          type: "apiKey",
          in: "cookie",
          name: "tagferry_session",
          description: "Set by POST /login.",
        },
        hook: { type: "http", scheme: "bearer", description: "The secret of webhooks." },
      },
      schemas: schemas(),
    },
  };
}

const OPEN = { security: [] };
const NAME = {
  name: "name",
  in: "path",
  required: true,
  schema: { type: "string" },
  description: "A mirror.",
};

function json(description: string, schema: object): object {
  return { description, content: { "application/json": { schema } } };
}

function text(description: string, type = "text/html"): object {
  return { description, content: { [type]: { schema: { type: "string" } } } };
}

const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const form = (...keys: readonly string[]): object => ({
  content: {
    "application/x-www-form-urlencoded": {
      schema: {
        type: "object",
        properties: Object.fromEntries(keys.map((key) => [key, { type: "string" }])),
      },
    },
  },
});
const list = (key: string, name: string): object => ({
  type: "object",
  required: [key],
  properties: { [key]: { type: "array", items: ref(name) } },
});
const failures = (...codes: readonly number[]): object =>
  Object.fromEntries(codes.map((code) => [code, json("What went wrong.", ref("Failure"))]));

const ACTION_SUMMARIES = {
  sync: "Check it now",
  pause: "Pause the schedule",
  resume: "Resume the schedule",
  retry: "Release quarantined tags, and check the mirror now",
  cancel: "Cancel the run under way",
};

function apiPaths(): Readonly<Record<string, Path>> {
  const acts = ACTIONS.map((action) => {
    const status = action === "sync" || action === "retry" ? 202 : 200;
    const responses = { [status]: json("Done, or queued.", ref("Done")), ...failures(401, 403, 404, 503) };
    return [
      `/api/v1/mirrors/{name}/${action}`,
      { post: { summary: ACTION_SUMMARIES[action], parameters: [NAME], responses } },
    ] as const;
  });
  const runs = [
    { name: "mirror", in: "query", schema: { type: "string" }, description: "Only this mirror's." },
    { name: "limit", in: "query", schema: { type: "integer", minimum: 1, maximum: 200, default: 50 } },
  ];
  return {
    "/api/v1/mirrors": {
      get: {
        summary: "All mirrors",
        responses: { 200: json("Mirrors.", list("mirrors", "Mirror")), ...failures(401, 503) },
      },
    },
    "/api/v1/mirrors/{name}": {
      get: {
        summary: "One mirror, with its tags and runs",
        parameters: [NAME],
        responses: { 200: json("The mirror.", ref("MirrorDetail")), ...failures(401, 404, 503) },
      },
    },
    ...Object.fromEntries(acts),
    "/api/v1/runs": {
      get: {
        summary: "Runs that have ended, newest first",
        parameters: runs,
        responses: { 200: json("Runs.", list("runs", "Run")), ...failures(400, 401, 404, 503) },
      },
    },
    "/api/v1/events": {
      get: {
        summary: "Events from now on: server-sent events named run, outcome, progress, mirror and config",
        responses: {
          200: text("A stream that ends when the client disconnects.", "text/event-stream"),
          ...failures(401, 429),
        },
      },
    },
    "/api/v1/health": {
      get: {
        summary: "The daemon itself",
        responses: { 200: json("Its health.", ref("Health")), ...failures(401) },
      },
    },
    "/api/v1/openapi.json": {
      get: {
        summary: "This description",
        responses: { 200: json("OpenAPI 3.1.", { type: "object" }), ...failures(401) },
      },
    },
  };
}

function pagePaths(): Readonly<Record<string, Path>> {
  const seeOther = { 303: { description: "Go on there." } };
  const page = { name: "page", in: "query", schema: { type: "integer", minimum: 1, default: 1 } };
  const run = { name: "run", in: "path", required: true, schema: { type: "string" } };
  const overview = [
    {
      name: "q",
      in: "query",
      schema: { type: "string" },
      description: "Words in name, source, target, labels.",
    },
    { name: "state", in: "query", schema: { enum: MIRROR_STATES } },
    { name: "namespace", in: "query", schema: { type: "string" } },
    { name: "label", in: "query", schema: { type: "string" }, description: "name=value" },
    { name: "group", in: "query", schema: { enum: GROUP_KEYS } },
    { name: "sort", in: "query", schema: { enum: SORT_KEYS, default: "trouble" } },
    { name: "rows", in: "query", schema: { type: "integer", minimum: 10, maximum: 1_000, default: ROWS } },
    page,
  ];
  const tags = [
    { name: "q", in: "query", schema: { type: "string" }, description: "A part of a tag or digest." },
    { name: "only", in: "query", schema: { enum: ["failed"] } },
    page,
  ];
  const bulk = BULK_ACTIONS.map((action) => [
    `/bulk/${action}`,
    {
      post: {
        summary: `${ACTION_SUMMARIES[action]}: all mirrors that the form names`,
        requestBody: form("mirror", "back"),
        responses: {
          ...seeOther,
          200: json("Done, when JSON is accepted.", ref("DoneToMany")),
          ...failures(401, 403),
        },
      },
    },
  ]);
  const acts = ACTIONS.map((action) => [
    `/mirrors/{name}/${action}`,
    {
      post: {
        summary: `${ACTION_SUMMARIES[action]} (the page's form)`,
        parameters: [NAME],
        requestBody: form("back"),
        responses: {
          ...seeOther,
          200: json("Done, when JSON is accepted.", ref("Done")),
          ...failures(401, 403, 404),
        },
      },
    },
  ]);
  const assets = ["page.css", "page.js", "icon.svg"].map((name) => [
    `/assets/${name}`,
    { get: { summary: "A part of the page", ...OPEN, responses: { 200: { description: "The file." } } } },
  ]);
  return {
    "/": {
      get: {
        summary: "The page",
        parameters: overview,
        responses: { 200: text("The page."), 401: text("The form to log in.") },
      },
    },
    "/mirrors/{name}": {
      get: {
        summary: "The page of one mirror",
        parameters: [NAME, ...tags],
        responses: { 200: text("The page."), 401: text("The form to log in."), 404: text("No such mirror.") },
      },
    },
    "/mirrors/{name}/runs/{run}": {
      get: {
        summary: "The page of one run",
        parameters: [NAME, run, page],
        responses: { 200: text("The page."), 401: text("The form to log in."), 404: text("No such run.") },
      },
    },
    ...Object.fromEntries(bulk),
    ...Object.fromEntries(acts),
    "/login": {
      post: {
        summary: "Begin a session",
        ...OPEN,
        requestBody: form("token", "to"),
        responses: { ...seeOther, 401: text("The form again."), ...failures(403) },
      },
    },
    "/logout": {
      post: { summary: "End the session", ...OPEN, responses: { ...seeOther, ...failures(403) } },
    },
    ...Object.fromEntries(assets),
  };
}

function openPaths(): Readonly<Record<string, Path>> {
  return {
    "/livez": {
      get: {
        summary: "Whether the process answers",
        ...OPEN,
        responses: { 200: json("It does.", { type: "object" }) },
      },
    },
    "/readyz": {
      get: {
        summary: "Whether the process accepts work",
        ...OPEN,
        responses: {
          200: json("It does.", ref("Readiness")),
          503: json("It does not; the body has the reasons.", ref("Readiness")),
        },
      },
    },
    "/metrics": {
      get: { summary: "Metrics for Prometheus", ...OPEN, responses: { 200: text("Metrics.", "text/plain") } },
    },
  };
}

const HOOK_SUMMARIES = {
  dockerhub:
    "A push to Docker Hub. The secret is at the end of the path, because Docker Hub has no signatures",
  harbor: "A push to Harbor, in either of its formats; its auth header is the secret",
  quay: "A push to Quay. The secret is at the end of the path, or the Bearer or basic password",
  github: "A package event of GitHub, signed in X-Hub-Signature-256",
  generic: "A push to any registry: {repository, tag, at}",
};

function hookPaths(): Readonly<Record<string, Path>> {
  const responses = {
    202: json("Accepted, even if no mirror reads the repository.", {
      type: "object",
      properties: { accepted: { const: true } },
    }),
    ...failures(400, 401, 404, 413, 429),
  };
  const secret = { name: "secret", in: "path", required: true, schema: { type: "string" } };
  const requestBody = { required: true, content: { "application/json": { schema: { type: "object" } } } };
  return Object.fromEntries(
    HOOK_SENDERS.flatMap((sender) => {
      const post = { summary: HOOK_SUMMARIES[sender], security: [{ hook: [] }], requestBody, responses };
      const plain = [`/hooks/${sender}`, { post }] as const;
      const inPath = [
        `/hooks/${sender}/{secret}`,
        { post: { ...post, security: [], parameters: [secret] } },
      ] as const;
      return sender === "dockerhub" || sender === "quay" ? [plain, inPath] : [plain];
    }),
  );
}
