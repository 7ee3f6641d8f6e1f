import { expect, test } from "vitest";

import { readImageConfig } from "../../src/oci/image-config.ts";
import { describing, reusing } from "../support/port.ts";

async function read(text: string, { size = Buffer.byteLength(text) } = {}): Promise<unknown> {
  const bytes = Buffer.from(text);
  const config = { ...describing(bytes), size };
  return readImageConfig({ config }, { blob: () => reusing(bytes, 8) });
}

const blob = (): never => {
  throw new Error("read");
};

test("the fields of a config are read, whatever the size of the chunks", async () => {
  expect(await read('{"os":"linux","created":"2026-01-01T00:00:00Z"}')).toEqual({
    os: "linux",
    created: "2026-01-01T00:00:00Z",
  });
});

test.for(["", "no JSON", "null", "7", '["os"]'])(
  "a config that is no object says nothing: %s",
  async (text) => {
    expect(await read(text)).toEqual({});
  },
);

test("a config of more than 4 MiB is not read", async () => {
  const config = { ...describing(Buffer.from("{}")), size: 4 * 1024 * 1024 + 1 };
  expect(await readImageConfig({ config }, { blob })).toEqual({});
});

test("a config with other bytes than its digest says fails", async () => {
  const config = describing(Buffer.from('{"os":"linux"}'));
  const reading = readImageConfig({ config }, { blob: () => reusing(Buffer.from('{"os":"plan9"}')) });
  await expect(reading).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
});

test("a manifest without a config says nothing", async () => {
  expect(await readImageConfig({}, { blob: () => reusing(Buffer.of()) })).toEqual({});
});
