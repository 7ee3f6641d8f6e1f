import { expect, test } from "vitest";

import { parseProxy } from "../../../src/registry/transport/proxy.ts";
import { thrownBy } from "../../support/thrown.ts";

const PROXY = { HTTPS_PROXY: "http://proxy.corp:3128", HTTP_PROXY: "http://plain.corp:3128" };
const through = (env: Record<string, string>, url: string): string | undefined =>
  parseProxy(env)(new URL(url))?.host;

test.for([
  [PROXY, "https://quay.io/", "proxy.corp:3128"],
  [PROXY, "http://quay.io/", "plain.corp:3128"],
  [{ ALL_PROXY: "all.corp:1" }, "https://quay.io/", "all.corp:1"],
  [{ ALL_PROXY: "all.corp:1", HTTPS_PROXY: "https.corp:2" }, "https://quay.io/", "https.corp:2"],
  [{ HTTPS_PROXY: "upper.corp:1", https_proxy: "lower.corp:2" }, "https://quay.io/", "lower.corp:2"],
  [{ HTTPS_PROXY: "http://user:secret@proxy.corp:3128" }, "https://quay.io/", "proxy.corp:3128"],
  [{ HTTPS_PROXY: "" }, "https://quay.io/", undefined],
  [{}, "https://quay.io/", undefined],
] as const)("of %j reaches %s through %s", ([env, url, host]) => {
  expect(through(env, url)).toBe(host);
});

test.for([
  ["*", "https://quay.io/"],
  ["quay.io", "https://quay.io/"],
  ["quay.io", "https://cdn.quay.io/"],
  [".quay.io", "https://cdn.quay.io/"],
  ["*.quay.io", "https://cdn.quay.io/"],
  ["QUAY.IO", "https://quay.io/"],
  ["quay.io:443", "https://quay.io/"],
  ["quay.io:8443", "https://quay.io:8443/"],
  [" .svc , .cluster.local\t172.30.0.0/16", "https://image-registry.openshift-image-registry.svc:5000/"],
  ["172.30.0.0/16", "https://172.30.7.9:5000/"],
  ["10.0.0.1", "https://10.0.0.1:5000/"],
  ["fd00::/8", "https://[fd12::1]:5000/"],
  ["::1", "https://[::1]:5000/"],
  ["127.0.0.0/8", "http://127.1.2.3/"],
] as const)("NO_PROXY=%s reaches %s directly", ([noProxy, url]) => {
  expect(through({ ...PROXY, NO_PROXY: noProxy }, url)).toBeUndefined();
});

test.for([
  ["quay.io", "https://notquay.io/"],
  ["quay.io", "https://quay.io.evil.test/"],
  ["quay.io:8443", "https://quay.io/"],
  ["172.30.0.0/16", "https://172.31.0.1/"],
  ["10.0.0.1", "https://10.0.0.11/"],
  ["172.30.0.0/99", "https://172.30.0.1/"],
  [",, ,", "https://quay.io/"],
] as const)("NO_PROXY=%s does not reach %s directly", ([noProxy, url]) => {
  expect(through({ ...PROXY, NO_PROXY: noProxy }, url)).toBe("proxy.corp:3128");
});

test.for(["socks5://proxy:1080", "ftp://proxy", "http://", "http://us er@:1", "http://user:secret@:bad"])(
  "refuses the proxy %s without repeating its password",
  (address) => {
    const error = thrownBy(() => parseProxy({ HTTPS_PROXY: address }));
    expect(error.code).toBe("PROXY_INVALID");
    expect(JSON.stringify([error.message, error.details])).not.toContain("secret");
  },
);
