import { readdir, readFile, writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { fileProofs } from "../../../src/sync/proofs/proof-file.ts";
import { dueFor, type ProofRecord } from "../../../src/sync/proofs/proofs.ts";
import { buildImage } from "../../support/images/images.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const { digest } = buildImage().manifest;
const HOUR_MS = 3_600_000;
const START_MS = Date.parse("2026-06-10T00:00:00Z");
const at = (hours: number): string => new Date(START_MS + hours * HOUR_MS).toISOString();
const published: ProofRecord = { digest, since: at(0), provedAt: at(0), referrersAt: at(0) };

function due(record: ProofRecord | undefined, hours: number, key = "tag"): string | undefined {
  const now = new Date(START_MS + hours * HOUR_MS);
  return dueFor(record, { key, digest, verifyEveryMs: 24 * HOUR_MS, now });
}

describe("an unchanged tag is due for its content", () => {
  test("when nothing is known of it, or only of another image", () => {
    expect(due(undefined, 0)).toBe("content");
    expect(due({ ...published, digest: buildImage({ seed: "other" }).manifest.digest }, 0)).toBe("content");
  });

  test("once in every period, at times that are spread over it", () => {
    const hours = Array.from({ length: 300 }, (_, index) => {
      const key = `tag ${index}`;
      const first = Array.from({ length: 97 }, (_each, quarter) => quarter / 4).find(
        (hour) => due(published, hour, key) === "content",
      );
      return first ?? Infinity;
    });
    expect(Math.max(...hours)).toBeLessThanOrEqual(24);
    const perQuarterOfADay = Object.values(
      Object.groupBy(hours, (hour) => Math.min(3, Math.floor(hour / 6))),
    );
    expect(Math.min(...perQuarterOfADay.map((group) => group?.length ?? 0))).toBeGreaterThan(20);
  });

  test("when its record comes from the future", () => {
    expect(due({ ...published, provedAt: at(10) }, 0)).toBe("content");
  });
});

test("the questions about referrers are close together after a publication, and become rare", () => {
  let record: ProofRecord = published;
  const asked: number[] = [];
  for (let minute = 0; minute <= 4 * 24 * 60; minute += 1) {
    const hour = minute / 60;
    if (due({ ...record, provedAt: at(hour) }, hour) !== "referrers") continue;
    asked.push(hour);
    record = { ...record, referrersAt: at(hour) };
  }
  const within = (from: number, to: number): number =>
    asked.filter((hour) => hour > from && hour <= to).length;
  expect(within(0, 1)).toBeGreaterThanOrEqual(11);
  expect(within(1, 24)).toBeGreaterThanOrEqual(22);
  expect(within(1, 24)).toBeLessThanOrEqual(24);
  expect(within(24, 96)).toBeLessThanOrEqual(4);
});

describe("a file of proofs", () => {
  test("keeps what was proved for the next run", async () => {
    await using directory = await temporaryDirectory();
    const path = directory.join("cache", "proofs.json");
    {
      await using proofs = fileProofs(path, () => new Date(START_MS));
      await proofs.write("registry/app", "1", published);
    }
    await using again = fileProofs(path);
    expect((await again.read("registry/app")).get("1")).toEqual(published);
    expect((await again.read("registry/other")).size).toBe(0);
    expect(await readdir(directory.join("cache"))).toEqual(["proofs.json"]);
  });

  test.for(["", "{", "[]", '{"targets":{"registry/app":{"1":{"digest":7}}}}', '{"targets":null}'])(
    "with junk (%j) knows nothing, and is replaced",
    async (text) => {
      await using directory = await temporaryDirectory();
      const path = directory.join("proofs.json");
      await writeFile(path, text);
      {
        await using proofs = fileProofs(path, () => new Date(START_MS));
        expect((await proofs.read("registry/app")).size).toBe(0);
        await proofs.write("registry/app", "1", published);
      }
      expect(JSON.parse(await readFile(path, "utf8"))).toEqual({
        targets: { "registry/app": { "1": published } },
      });
    },
  );

  test("that cannot be written fails nothing", async () => {
    await using proofs = fileProofs("/dev/null/proofs.json");
    await proofs.write("registry/app", "1", published);
    expect((await proofs.read("registry/app")).size).toBe(1);
  });
});
