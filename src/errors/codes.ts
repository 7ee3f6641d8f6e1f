import { AUTH_CODES } from "./codes/auth.ts";
import { CLUSTER_CODES } from "./codes/cluster.ts";
import { COMMAND_CODES } from "./codes/command.ts";
import { CONFIG_CODES } from "./codes/config.ts";
import { CONTENT_CODES } from "./codes/content.ts";
import { DAEMON_CODES } from "./codes/daemon.ts";
import { LAYOUT_CODES } from "./codes/layout.ts";
import { PLAN_CODES } from "./codes/plan.ts";
import { PUSH_CODES } from "./codes/push.ts";
import { REGISTRY_CODES } from "./codes/registry.ts";
import { WEB_CODES } from "./codes/web.ts";
import type { CodeFacts } from "./facts.ts";

/**
 * The complete list of codes. Codes are stable, because scripts use them; messages may change. `docs/errors.md` is
 * generated from this table.
 */
export const ERROR_CODES = {
  ...COMMAND_CODES,
  ...CONFIG_CODES,
  ...PLAN_CODES,
  ...AUTH_CODES,
  ...REGISTRY_CODES,
  ...CONTENT_CODES,
  ...PUSH_CODES,
  ...LAYOUT_CODES,
  ...CLUSTER_CODES,
  ...DAEMON_CODES,
  ...WEB_CODES,
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;
