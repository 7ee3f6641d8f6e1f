import { CLUSTER_FAULTS } from "../cluster/cluster-faults.ts";
import { LAYOUT_DAMAGE } from "../layout/damage.ts";
import { CONNECTION_FAULTS } from "./connection-faults.ts";
import { CONTENT_FAULTS } from "./content-faults.ts";
import type { Fault } from "./fault.ts";
import { REGISTRY_FAULTS } from "./registry-faults.ts";
import { STATUS_FAULTS } from "./status-faults.ts";

/** All faults of answers. The number of a fault is its position in this list. */
export const FAULTS: readonly Fault[] = [
  ...CONNECTION_FAULTS,
  ...STATUS_FAULTS,
  ...CONTENT_FAULTS,
  ...REGISTRY_FAULTS,
];

/** Faults that are not answers: actions of the harness between or during runs. They are counted too. */
export const EVENTS = [
  "a tag moves in the middle of a run",
  "a manifest is deleted in the middle of a run",
  "a tag is removed in the middle of a run",
  "a signature is pushed after its image",
  "SIGKILL",
  "a blob is lost at the target behind its back",
  "a blob is truncated at the target behind its back",
  "a tag is removed at the target behind its back",
  ...LAYOUT_DAMAGE,
  "a mirror's source is dead for ever",
  "a worker is killed",
  "Redis is killed and comes back",
] as const;

export type EventName = (typeof EVENTS)[number];

/** The names of everything that is counted. */
export const NAMES: readonly string[] = [
  ...FAULTS.map(({ name }) => name),
  ...EVENTS,
  ...CLUSTER_FAULTS.map(({ name }) => name),
];

export function numberOf(name: string): number {
  return NAMES.indexOf(name) + 1;
}
