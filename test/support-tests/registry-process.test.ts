import { expect, test } from "vitest";

import { ask } from "../support/ask.ts";
import { startRegistryProcess } from "../support/registry/process.ts";

test("a registry in another process answers, tells its ledger and dies when it is killed", async () => {
  await using registry = await startRegistryProcess({ behaviour: { referrersApi: false } });
  expect(registry.pid).not.toBe(process.pid);
  await ask("GET", `${registry.url}/v2/`);
  await ask("GET", `${registry.url}/v2/a/b/referrers/sha256:${"0".repeat(64)}`);
  const read = async (): Promise<unknown> => {
    const { body } = await ask("GET", `${registry.url}/ledger`);
    return JSON.parse(body.toString("utf8"));
  };
  expect(await read()).toMatchObject([
    { kind: "ping", status: 200 },
    { kind: "referrers", status: 404 },
  ]);
  await ask("DELETE", `${registry.url}/ledger`);
  expect(await read()).toEqual([]);
  await registry.kill();
  await expect(ask("GET", `${registry.url}/v2/`)).rejects.toThrow(/ECONNREFUSED/);
});
