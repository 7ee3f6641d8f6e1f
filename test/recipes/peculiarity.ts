import { after, type Recipe } from "./recipe.ts";

/** Example: Harbor, behind a firewall that refuses unknown clients, is asked under another name. */
export const PECULIARITY: Recipe = {
  title: "A registry's peculiarity",
  generated: [],
  edits: [
    after(
      "src/registry/profile.ts",
      "  readonly readBack: boolean;\n",
      "  /** The `user-agent` of our requests. Some firewalls refuse clients that they do not know. */\n  readonly userAgent: string;\n",
    ),
    after("src/registry/profile.ts", "  readBack: true,\n", `  userAgent: "tagferry/0.1",\n`),
    {
      file: "src/registry/profile.ts",
      replace: `kind: "harbor", `,
      by: `kind: "harbor", userAgent: "docker/28 (tagferry)", `,
    },
    {
      file: "src/registry/registry.ts",
      replace: "    userAgent: USER_AGENT,\n",
      by: "    userAgent: observations.profile().userAgent,\n",
    },
    after(
      "test/support/registry/behaviour.ts",
      "  readonly multiTagPut: boolean;\n",
      "  /** Requests of clients with another `user-agent` are answered 403. */\n  readonly userAgents: RegExp | undefined;\n",
    ),
    after("test/support/registry/behaviour.ts", "  multiTagPut: false,\n", "  userAgents: undefined,\n"),
    {
      file: "test/support/registry/handler.ts",
      replace: `  const { hooks } = context;
  if (request.kind === "other") return notFound();
`,
      by: `  const { hooks, behaviour } = context;
  if (request.kind === "other") return notFound();
  if (behaviour.userAgents?.test(request.headers["user-agent"] ?? "") === false) return refusal(403, "DENIED");
`,
    },
    {
      file: "test/registry/user-agent.test.ts",
      create: `import { expect, test } from "vitest";

import { registryClient } from "../support/registry/client.ts";
import { startRegistry } from "../support/registry/registry.ts";

test("Harbor is asked under a name that firewalls know", async () => {
  await using registry = await startRegistry({ behaviour: { userAgents: /^docker/ } });
  await using harbor = registryClient(registry.host, { kind: "harbor" });
  await harbor.ping();
  await using other = registryClient(registry.host);
  await expect(other.ping()).rejects.toMatchObject({ code: "DENIED" });
});
`,
    },
  ],
  probe: ["test/registry/user-agent.test.ts"],
};
