import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { openObservations } from "../../src/registry/observations.ts";

const HOUR_MS = 60 * 60_000;
const MEBIBYTE = 1024 * 1024;

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

const open = (kind: Parameters<typeof openObservations>[0] = "auto") =>
  openObservations(kind, "registry.example");

test("the kind of a registry is known from its answers, and what it was told to be stays", () => {
  const headers = { "docker-distribution-api-version": "registry/2.0" };
  const observed = open();
  expect(observed.profile().kind).toBe("auto");
  observed.answered(headers);
  expect(observed.profile().kind).toBe("distribution");
  const harbor = open("harbor");
  harbor.answered(headers);
  expect(harbor.profile().kind).toBe("harbor");
});

describe("HEAD", () => {
  test("is trusted after it has found something, or from the start where the kind is known for it", () => {
    const { head } = open();
    expect([head.isUsable(), head.isTrusted()]).toEqual([true, false]);
    head.found();
    expect(head.isTrusted()).toBe(true);
    expect(open("harbor").head.isTrusted()).toBe(true);
  });

  test("is left for an hour when it is unusable; what GET shows meanwhile does not make it longer", () => {
    const { head } = open();
    head.unusable();
    vi.advanceTimersByTime(HOUR_MS / 2);
    head.unusable();
    expect(head.isUsable()).toBe(false);
    vi.advanceTimersByTime(HOUR_MS / 2);
    expect(head.isUsable()).toBe(true);
  });

  test("is not trusted for an hour after it denied what the listing names, whatever the kind", () => {
    const { head } = open("harbor");
    head.found();
    head.doubted();
    expect([head.isUsable(), head.isTrusted()]).toEqual([true, false]);
    vi.advanceTimersByTime(HOUR_MS);
    expect(head.isTrusted()).toBe(true);
  });
});

test("a body that is too large leads to the chunk size, then to the smallest limit of a proxy, then to nothing", () => {
  const { bodySize } = open();
  expect(bodySize.maxBytes()).toBeUndefined();
  expect([bodySize.tooLarge(), bodySize.maxBytes()]).toEqual([true, 8 * MEBIBYTE]);
  expect([bodySize.tooLarge(), bodySize.maxBytes()]).toEqual([true, MEBIBYTE]);
  expect([bodySize.tooLarge(), bodySize.maxBytes()]).toEqual([false, MEBIBYTE]);
});

describe("mounts", () => {
  test("are not tried between two repositories after three refusals in a row", () => {
    const { mounts } = open();
    for (let time = 0; time < 2; time += 1) mounts.refused("a/a", "b/b");
    mounts.accepted("a/a", "b/b");
    for (let time = 0; time < 2; time += 1) mounts.refused("a/a", "b/b");
    expect(mounts.areRefused("a/a", "b/b")).toBe(false);
    mounts.refused("a/a", "b/b");
    expect(mounts.areRefused("a/a", "b/b")).toBe(true);
    expect(mounts.areRefused("b/b", "a/a")).toBe(false);
  });

  test("are remembered for the last ten thousand pairs", () => {
    const { mounts } = open();
    for (let pair = 0; pair <= 10_000; pair += 1)
      for (let time = 0; time < 3; time += 1) mounts.refused(`a/${pair}`, "b/b");
    expect(mounts.areRefused("a/0", "b/b")).toBe(false);
    expect(mounts.areRefused("a/1", "b/b")).toBe(true);
    expect(mounts.areRefused("a/10000", "b/b")).toBe(true);
  });
});

describe("the referrers API", () => {
  test("is absent for an hour, in one repository, for a reason", () => {
    const observed = open();
    const api = observed.referrersApi("a/a");
    api.absent("404 to /v2/a/a/referrers");
    expect(observed.referrersApi("a/a").absence()).toBe("404 to /v2/a/a/referrers");
    expect(observed.referrersApi("b/b").absence()).toBeUndefined();
    vi.advanceTimersByTime(HOUR_MS);
    expect(api.absence()).toBeUndefined();
  });

  test("is never asked for where the kind has none", () => {
    expect(open("dockerhub").referrersApi("a/a").absence()).toContain("dockerhub");
  });

  test("is present once it has answered", () => {
    const api = open().referrersApi("a/a");
    expect(api.isPresent()).toBe(false);
    api.present();
    expect(api.isPresent()).toBe(true);
  });
});
