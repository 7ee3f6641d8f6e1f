import { join } from "node:path";

import { type Layout, openLayout } from "../../src/layout/layout.ts";
import type { Registry, RegistryOptions } from "../../src/registry/registry.ts";
import type { Behaviour } from "./registry/behaviour.ts";
import { registryClient } from "./registry/client.ts";
import { startRegistry, type TestRegistry } from "./registry/registry.ts";
import { temporaryDirectory } from "./temporary.ts";

export type CopySetting = AsyncDisposable & {
  readonly from: TestRegistry;
  readonly to: TestRegistry;
  /** team/app at `from`. */
  readonly source: ReturnType<Registry["repository"]>;
  /** mirror/app at `to`. */
  readonly target: ReturnType<Registry["repository"]>;
  readonly layout: Layout;
  readonly directory: string;
  /** Another client that shares no knowledge with the others. */
  client(server: TestRegistry, options?: Partial<RegistryOptions>): Registry;
};

/** Two registries, a layout, and clients that retry quickly. */
export async function openCopySetting({
  from: fromBehaviour = {},
  to: toBehaviour = {},
}: {
  readonly from?: Partial<Behaviour>;
  readonly to?: Partial<Behaviour>;
} = {}): Promise<CopySetting> {
  await using stack = new AsyncDisposableStack();
  const from = stack.use(await startRegistry({ behaviour: fromBehaviour }));
  const to = stack.use(await startRegistry({ behaviour: toBehaviour }));
  const directory = join(stack.use(await temporaryDirectory()).path, "layout");
  const layout = stack.use(await openLayout(directory, { create: true }));
  const clients = stack.use(new AsyncDisposableStack());
  const client: CopySetting["client"] = (server, options) =>
    clients.use(registryClient(server.host, options));
  const owned = stack.move();
  return {
    from,
    to,
    layout,
    directory,
    client,
    source: client(from).repository("team/app"),
    target: client(to).repository("mirror/app"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
