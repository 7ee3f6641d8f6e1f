import { fits, type RequestMatch } from "../ledger.ts";
import type { Answer, Awaitable, RegistryRequest } from "./wire.ts";

/**
 * Replaces the normal handling of one request. `respondNormally` lets the registry act and returns its answer without
 * sending it. A fault that does not call it leaves the registry unchanged.
 */
export type Fault = (request: RegistryRequest, respondNormally: () => Promise<Answer>) => Awaitable<Answer>;

export type RuleMatch = RequestMatch & {
  /** The faults begin with the nth request that matches, 1 being the first from now on. */
  readonly nth?: number;
  /** The last fault is never used up. */
  readonly always?: boolean;
};

/** A request that is held. */
export type Held = {
  readonly request: RegistryRequest;
  /** Lets it go on. */
  release(): void;
  /** Breaks its connection. */
  reset(): void;
};

export type GateOptions = {
  /** `arrived`: the registry has not acted yet. `handled`: it has, and only the answer is held. */
  readonly when?: "arrived" | "handled";
};

export type Rules = {
  on(match: RuleMatch, ...faults: Fault[]): () => void;
  gate(match: RuleMatch | number, options?: GateOptions): Promise<Held>;
  /** The fault for a request, used up by asking. */
  next(request: RegistryRequest): Fault | undefined;
};

type Rule = { readonly match: RuleMatch; readonly faults: Fault[]; seen: number };

export function openRules(): Rules {
  const rules: Rule[] = [];
  const on = (match: RuleMatch, ...faults: Fault[]): (() => void) => {
    const rule = { match, faults: [...faults], seen: 0 };
    rules.push(rule);
    return () => {
      rule.faults.length = 0;
    };
  };
  return {
    on,
    gate: (match, { when = "arrived" } = {}) => {
      const { promise, resolve } = Promise.withResolvers<Held>();
      on(typeof match === "number" ? { nth: match } : match, (request, respondNormally) =>
        hold(request, respondNormally, when, resolve),
      );
      return promise;
    },
    next: (request) => {
      let chosen: Fault | undefined;
      for (const rule of rules) {
        if (rule.faults.length === 0 || !fits(request.entry, rule.match)) continue;
        rule.seen += 1;
        if (chosen || rule.seen < (rule.match.nth ?? 1)) continue;
        chosen = rule.match.always && rule.faults.length === 1 ? rule.faults[0] : rule.faults.shift();
      }
      return chosen;
    },
  };
}

async function hold(
  request: RegistryRequest,
  respondNormally: () => Promise<Answer>,
  when: "arrived" | "handled",
  tell: (held: Held) => void,
): Promise<Answer> {
  const handled = when === "handled" ? await respondNormally() : undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  request.gone.addEventListener("abort", () => resolve(), { once: true });
  tell({ request, release: () => resolve(), reset: () => request.break() });
  if (!request.gone.aborted) await promise;
  if (handled) return handled;
  // if a client disconnects while its request is held, the registry ignores the request
  if (request.gone.aborted) return { status: 0, headers: {}, send: async () => {} };
  return respondNormally();
}
