import { expect, test } from "vitest";

import { openWeb } from "../../src/web/server.ts";
import { ask } from "../support/ask.ts";
import { openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { SILENT } from "../support/registry/client.ts";
import { TOKEN } from "../support/web.ts";

const bearer = (token: string) => ({ authorization: `Bearer ${token}`, "content-type": "application/json" });

test("a webhook makes a running daemon mirror what moved, and page, API and metrics tell of it", async () => {
  await using scene = await openDaemonScene();
  const first = await pushTo(
    scene.source,
    "library/app",
    buildImage({ seed: "one", layers: [2_000] }),
    "latest",
  );
  const source = `${scene.source.host}/library/app`;
  await scene.configure([{ name: "app", source, target: "imagestream:web/app", tags: { all: true } }]);
  const { view } = await scene.start();
  await using web = await openWeb({
    view,
    settings: { host: "127.0.0.1", port: 0 },
    token: async () => TOKEN,
    webhooks: { generic: async () => "hook" },
    log: SILENT,
  });
  const read = async (path: string) =>
    (await ask("GET", `${web.url}${path}`, { headers: bearer(TOKEN) })).body.toString();
  const tell = () =>
    ask("POST", `${web.url}/hooks/generic`, {
      headers: bearer("hook"),
      body: JSON.stringify({ repository: source, tag: "latest" }),
    });

  expect((await tell()).status).toBe(202);
  await until(async () => (await read("/api/v1/mirrors/app")).includes(first.manifest.digest));
  const moved = await pushTo(
    scene.source,
    "library/app",
    buildImage({ seed: "two", layers: [2_000] }),
    "latest",
  );
  scene.clock.pass(1);
  expect((await ask("POST", `${web.url}/api/v1/mirrors/app/sync`, { headers: bearer(TOKEN) })).status).toBe(
    202,
  );
  await until(async () => (await read("/mirrors/app")).includes(moved.manifest.digest));
  await until(async () =>
    (await read("/metrics")).includes('tagferry_outcomes_total{mirror="app",kind="copied"} 2'),
  );

  const page = await read("/mirrors/app");
  expect(page).toContain(first.manifest.digest); // its history
  expect(page).toContain(`${source}:latest`);
  expect(await read("/")).toContain("No problems with 1 mirror");
  expect(JSON.parse(await read("/api/v1/runs?mirror=app"))).toMatchObject({
    runs: [
      { cause: "asked", state: "done" },
      { cause: "webhook", state: "done" },
    ],
  });
  expect(await read("/metrics")).toMatch(
    /tagferry_registry_requests_total\{registry="127[^"]*",class="2xx"\} \d/,
  );
});
