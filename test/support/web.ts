import { openWeb, type Web, type WebOptions } from "../../src/web/server.ts";
import { SILENT } from "./registry/client.ts";
import { type MemoryView, memoryView } from "./view.ts";

export const TOKEN = "correct-horse-battery-staple";

export type TestWeb = Web & { readonly view: MemoryView };

/** The page and all else on a free port of this machine, over a daemon that does what the test says. */
export async function openTestWeb(options: Partial<WebOptions> = {}): Promise<TestWeb> {
  const view = memoryView();
  const web = await openWeb({ view, settings: { host: "127.0.0.1", port: 0 }, log: SILENT, ...options });
  return { ...web, view };
}
