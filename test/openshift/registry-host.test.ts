import { describe, expect, test } from "vitest";

import type { ImageStream } from "../../src/openshift/image-stream.ts";
import { registryHostOf } from "../../src/openshift/registry-host.ts";
import { thrownBy } from "../support/thrown.ts";

const SERVICE = "image-registry.openshift-image-registry.svc:5000";
const ROUTE = "default-route-openshift-image-registry.apps.example.com";
const INSIDE = { inCluster: true };
const OUTSIDE = { inCluster: false };

function streamWith(internal: string | undefined, external?: string): ImageStream {
  return {
    metadata: { name: "app", namespace: "web", resourceVersion: "7" },
    status: {
      ...(internal === undefined
        ? {}
        : { dockerImageRepository: internal === "" ? "" : `${internal}/web/app` }),
      ...(external === undefined ? {} : { publicDockerImageRepository: `${external}/web/app` }),
    },
  };
}

describe("the integrated registry's host", () => {
  test.for<readonly [string, string, ImageStream, { readonly inCluster: boolean }]>([
    ["in a pod, the service, though there is a route", SERVICE, streamWith(SERVICE, ROUTE), INSIDE],
    ["in a pod, the service where no route is", SERVICE, streamWith(SERVICE), INSIDE],
    ["in a pod that sees no service, the route", ROUTE, streamWith("", ROUTE), INSIDE],
    ["outside, the route", ROUTE, streamWith(SERVICE, ROUTE), OUTSIDE],
    ["outside, a route with a port", `${ROUTE}:8443`, streamWith(SERVICE, `${ROUTE}:8443`), OUTSIDE],
    [
      "outside, an internal name that is no service",
      "registry.corp:5000",
      streamWith("registry.corp:5000"),
      OUTSIDE,
    ],
    ["outside, an address", "172.30.1.1:5000", streamWith("172.30.1.1:5000"), OUTSIDE],
    [
      "outside, a host that merely has svc in its name",
      "svc.example.com",
      streamWith("svc.example.com"),
      OUTSIDE,
    ],
  ])("is, %s", ([, expected, stream, where]) => {
    expect(registryHostOf(stream, where)).toBe(expected);
  });

  test.for([
    SERVICE,
    "registry.ns.svc",
    "registry.ns.svc.cluster.local:5000",
    "registry.ns.svc.cluster.local",
  ])(
    "is refused outside of the cluster when it is the service %s, with the command that makes a route",
    (service) => {
      const { code, details } = thrownBy(() => registryHostOf(streamWith(service), OUTSIDE));
      expect(code).toBe("CLUSTER_REGISTRY");
      expect(details).toMatchObject({ where: "web/app", found: service });
      expect(details["next"]).toContain('"defaultRoute":true');
    },
  );

  test.for<readonly [string, ImageStream]>([
    ["a stream without a status", { metadata: { name: "app", namespace: "web", resourceVersion: "7" } }],
    ["a status without a repository", streamWith(undefined)],
    ["an empty repository", streamWith("")],
  ])("is refused with %s: the cluster has no registry", ([, stream]) => {
    for (const where of [INSIDE, OUTSIDE]) {
      const { code, message } = thrownBy(() => registryHostOf(stream, where));
      expect(code).toBe("CLUSTER_REGISTRY");
      expect(message).toContain("no integrated registry");
    }
  });
});
