import { setTimeout as sleep } from "node:timers/promises";

import type { TestCluster } from "../../support/cluster/cluster.ts";
import type { Fault } from "../../support/registry/rules.ts";
import type { Answer } from "../../support/registry/wire.ts";
import type { Ledger } from "../ledger.ts";
import type { Random } from "../random.ts";

/** Whether the API server or the integrated registry of the cluster fails so. */
type Where = "api" | "registry";

type ClusterFault = {
  readonly name: string;
  readonly where: readonly Where[];
  /** Only for requests that write. */
  readonly writes?: true;
  readonly run: (random: Random) => Fault;
};

const BOTH: readonly Where[] = ["api", "registry"];
const PAGE = { "content-type": "text/html" } as const;

function instead(status: number, headers: Readonly<Record<string, string>> = {}): ClusterFault["run"] {
  return () => () => ({ status, headers: { ...PAGE, ...headers }, body: Buffer.from(`<h1>${status}</h1>`) });
}

/** What the API server answers when somebody else changed the object meanwhile. */
const CONFLICT: Answer = {
  status: 409,
  headers: { "content-type": "application/json" },
  body: Buffer.from(
    JSON.stringify({
      kind: "Status",
      apiVersion: "v1",
      status: "Failure",
      reason: "Conflict",
      code: 409,
      message: "the object has been modified; please apply your changes to the latest version and try again",
    }),
  ),
};

export const CLUSTER_FAULTS: readonly ClusterFault[] = [
  { name: "cluster: 500", where: BOTH, run: instead(500) },
  { name: "cluster: 503", where: BOTH, run: instead(503) },
  { name: "cluster: 429 with Retry-After", where: BOTH, run: instead(429, { "retry-after": "1" }) },
  { name: "cluster: 409 for a write", where: ["api"], writes: true, run: () => () => CONFLICT },
  {
    name: "cluster: 504 after it was done",
    where: BOTH,
    writes: true,
    run: () => async (_request, respondNormally) => {
      await respondNormally();
      return { status: 504, headers: PAGE, body: Buffer.from("<h1>504 Gateway Time-out</h1>") };
    },
  },
  {
    name: "cluster: resets without an answer",
    where: BOTH,
    run: () => (request) => ({ status: 0, headers: {}, send: async () => request.break() }),
  },
  {
    name: "cluster: resets after it was done",
    where: BOTH,
    writes: true,
    run: () => async (request, respondNormally) => {
      await respondNormally();
      return { status: 0, headers: {}, send: async () => request.break() };
    },
  },
  {
    name: "cluster: answers after seconds",
    where: BOTH,
    run: (random) => async (_request, respondNormally) => {
      const answer = await respondNormally();
      await sleep(random.int(500, 2_500));
      return answer;
    },
  },
];

export type ClusterInjector = { active: boolean; readonly rules: readonly string[] };

/** Lets a cluster fail in at most three of these ways, each at a share of the requests that it fits. */
export function injectClusterFaults(
  cluster: TestCluster,
  { random, ledger, calm }: { readonly random: Random; readonly ledger: Ledger; readonly calm: boolean },
): ClusterInjector {
  const chosen = calm ? [] : random.sample(CLUSTER_FAULTS, random.pick([0, 1, 2, 3]));
  const rules = chosen.map((fault) => ({ fault, share: random.pick([0.03, 0.1, 0.3]) }));
  const state: ClusterInjector = { active: true, rules: chosen.map(({ name }) => name) };
  const failing =
    (where: Where): Fault =>
    (request, respondNormally) => {
      const isWrite = request.method !== "GET" && request.method !== "HEAD";
      const rule = rules.find(
        ({ fault, share }) =>
          fault.where.includes(where) && (!fault.writes || isWrite) && state.active && random.chance(share),
      );
      if (rule === undefined) return respondNormally();
      ledger.count(rule.fault.name);
      return rule.fault.run(random)(request, respondNormally);
    };
  cluster.on({ always: true }, failing("api"));
  cluster.registry.on({ always: true }, failing("registry"));
  return state;
}
