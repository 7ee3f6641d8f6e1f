import { failure } from "../registry/exchange.ts";
import { BOTH, type Fault, type PatternKind } from "./fault.ts";

/** Registries whose answers do not match their actions, or that lose content. */

const PAGE = Buffer.from("<html><body>Thank you.</body></html>");

/** A PUT is answered but nothing is stored, as by a proxy that answers for an unavailable registry. */
function lost(name: string, status: number, route: "manifest-put" | "upload-put"): Fault {
  return {
    name,
    sides: ["target"],
    routes: [route],
    patterns: ["once", "burst"],
    // a client cannot detect a registry that answers 201 and stores other bytes
    when: ({ rules }) => status !== 201 || route === "manifest-put" || rules.proves,
    ...(status === 201 && route === "manifest-put" ? { hides: "referrers" as const } : {}),
    run: async (exchange) => {
      await exchange.body();
      await exchange.send(
        status === 204 || status === 201
          ? { status, headers: { "content-length": "0" } }
          : { status, headers: { "content-type": "text/html" }, body: PAGE },
      );
    },
  };
}

function referrers(name: string, patterns: readonly PatternKind[], run: Fault["run"]): Fault {
  return { name, sides: BOTH, routes: ["referrers"], patterns, run };
}

export const REGISTRY_FAULTS: readonly Fault[] = [
  lost("200 for a manifest that is not stored", 200, "manifest-put"),
  lost("202 for a manifest that is not stored", 202, "manifest-put"),
  lost("204 for a manifest that is not stored", 204, "manifest-put"),
  lost("201 for a manifest that is not stored", 201, "manifest-put"),
  lost("200 for a blob that is not stored", 200, "upload-put"),
  lost("204 for a blob that is not stored", 204, "upload-put"),
  lost("201 for a blob that is not stored", 201, "upload-put"),
  {
    name: "HEAD 404 for a manifest that is there",
    sides: BOTH,
    routes: ["manifest-head"],
    patterns: ["once", "burst", "always"],
    hides: "tag",
    run: (exchange) => exchange.send(failure(404, "MANIFEST_UNKNOWN")),
  },
  {
    name: "HEAD 404 for a blob that is there",
    sides: ["target"],
    routes: ["blob-head"],
    patterns: ["once", "burst", "always"],
    run: (exchange) => exchange.send(failure(404, "BLOB_UNKNOWN")),
  },
  {
    name: "HEAD of a blob tells a wrong length",
    sides: ["target"],
    routes: ["blob-head"],
    patterns: ["once", "burst"],
    run: (exchange, random) =>
      exchange.send({ status: 200, headers: { "content-length": String(random.int(0, 900)) } }),
  },
  {
    name: "the upload session is lost",
    sides: ["target"],
    routes: ["upload-patch", "upload-put"],
    patterns: ["once", "burst"],
    run: async (exchange) => {
      await exchange.body();
      await exchange.send(failure(404, "BLOB_UPLOAD_UNKNOWN"));
    },
  },
  {
    name: "416 for an upload",
    sides: ["target"],
    routes: ["upload-patch", "upload-put"],
    patterns: ["once"],
    run: async (exchange) => {
      await exchange.body();
      await exchange.send({ status: 416, headers: { range: "0-0", "content-length": "0" } });
    },
  },
  {
    name: "201 for a mount that did not happen",
    sides: ["target"],
    routes: ["upload-post"],
    patterns: ["once", "burst"],
    when: ({ url, rules }) => rules.proves && url.searchParams.has("mount"),
    run: (exchange) =>
      exchange.send({ status: 201, headers: { location: "/v2/-/blobs/x", "content-length": "0" } }),
  },
  {
    name: "a manifest is refused for blobs that are there",
    sides: ["target"],
    routes: ["manifest-put"],
    patterns: ["once"],
    run: async (exchange) => {
      await exchange.body();
      await exchange.send(failure(404, "MANIFEST_BLOB_UNKNOWN"));
    },
  },
  {
    name: "the tag list links to itself",
    sides: ["source"],
    routes: ["tags"],
    patterns: ["once", "always"],
    run: async (exchange) => {
      const answer = await exchange.handle();
      const link = `<${exchange.url.pathname}${exchange.url.search}>; rel="next"`;
      await exchange.send({ ...answer, headers: { ...answer.headers, link } });
    },
  },
  {
    name: "the tag list goes on for ever",
    sides: ["source"],
    routes: ["tags"],
    patterns: ["once"],
    slow: true,
    run: (exchange) =>
      exchange.send({
        status: 200,
        headers: { "content-type": "application/json", link: `</endless/1>; rel="next"` },
        body: Buffer.from(`{"name":"x","tags":[]}`),
      }),
  },
  referrers("referrers are garbage", ["once", "burst", "always"], (exchange, random) =>
    exchange.send({
      status: 200,
      headers: { "content-type": "application/vnd.oci.image.index.v1+json" },
      body: random.bytes(200),
    }),
  ),
  referrers("referrers are a page", ["once", "burst", "always"], (exchange) =>
    exchange.send({ status: 200, headers: { "content-type": "text/html" }, body: PAGE }),
  ),
  referrers("referrers are 400", ["once", "burst", "always"], (exchange) =>
    exchange.send(failure(400, "UNSUPPORTED")),
  ),
  {
    ...referrers("referrers are 404, though the API is there", ["once"], (exchange) =>
      exchange.send(failure(404, "NOT_FOUND")),
    ),
    hides: "referrers",
  },
  referrers("referrers link to themselves", ["once", "always"], async (exchange) => {
    const answer = await exchange.handle();
    const link = `<${exchange.url.pathname}${exchange.url.search}>; rel="next"`;
    await exchange.send({ ...answer, headers: { ...answer.headers, link } });
  }),
];
