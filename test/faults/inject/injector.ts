import type { Ledger, Side } from "../ledger.ts";
import type { Random } from "../random.ts";
import type { Exchange, RouteKind } from "../registry/exchange.ts";
import { FAULTS } from "./catalogue.ts";
import type { Fault, Hides } from "./fault.ts";

type Pattern =
  | { readonly kind: "some"; readonly from: number; readonly count: number }
  | { readonly kind: "half" }
  | { readonly kind: "always" };

/** A fault with its requests and its frequency. */
export type Rule = {
  readonly fault: Fault;
  readonly routes: readonly RouteKind[];
  readonly pattern: Pattern;
};

export type Injector = {
  /** The fault for this request, which is counted. undefined: a correct answer. */
  choose(exchange: Exchange): Fault | undefined;
  readonly rules: readonly Rule[];
  active: boolean;
  /** Wrong answers since the last reset that a run could not detect. */
  readonly hidden: Set<Hides>;
};

export type Menu = {
  readonly side: Side;
  /** The probability that a slow fault is kept after it was drawn. */
  readonly slow: number;
};

export function chooseRules(random: Random, { side, slow }: Menu): Rule[] {
  const menu = FAULTS.filter(({ sides }) => sides.includes(side));
  const count = random.pick([0, 1, 2, 3, 3, 4, 5]);
  const rules = random
    .sample(menu, count)
    .filter((fault) => fault.slow !== true || random.chance(slow))
    .map((fault) => ruleOf(random, fault));
  return rules.some(({ fault }) => fault.name.startsWith("Range ")) ? [brokenReads(random), ...rules] : rules;
}

/** A client requests the rest of a blob only after a break. */
function brokenReads(random: Random): Rule {
  const fault = faultNamed("resets in the middle of the answer");
  return { fault, routes: ["blob-get"], pattern: { kind: "some", from: 1, count: random.int(2, 6) } };
}

function faultNamed(name: string): Fault {
  const fault = FAULTS.find((each) => each.name === name);
  if (fault === undefined) throw new Error(`there is no fault "${name}"`);
  return fault;
}

/** A source that answers some requests late: the answer is seconds old, and a later check may overtake it. */
export function slowReads(): Rule {
  const fault = faultNamed("answers after seconds");
  return { fault, routes: ["manifest-head", "manifest-get", "tags"], pattern: { kind: "half" } };
}

function ruleOf(random: Random, fault: Fault): Rule {
  const routes = random.chance(0.3) ? fault.routes : random.sample(fault.routes, random.int(1, 2));
  return { fault, routes, pattern: patternOf(random, fault) };
}

function patternOf(random: Random, { patterns }: Fault): Pattern {
  const kind = random.pick(patterns);
  // most permanent faults end every run in the same way, so a few of them are enough
  if (kind === "always" && random.chance(0.6))
    return { kind: "some", from: random.int(1, 3), count: random.int(1, 3) };
  switch (kind) {
    case "once":
      return { kind: "some", from: random.int(1, 5), count: 1 };
    case "burst":
      return { kind: "some", from: random.int(1, 5), count: random.int(2, 4) };
    case "half":
      return { kind: "half" };
    case "always":
      return { kind: "always" };
  }
}

export function injector(rules: readonly Rule[], random: Random, ledger: Ledger): Injector {
  const seen = new Map<Rule, number>();
  const hidden = new Set<Hides>();
  const strikes = (rule: Rule, exchange: Exchange): boolean => {
    const { fault, routes, pattern } = rule;
    if (!routes.includes(exchange.route.kind) || fault.when?.(exchange) === false) return false;
    const count = (seen.get(rule) ?? 0) + 1;
    seen.set(rule, count);
    switch (pattern.kind) {
      case "some":
        return count >= pattern.from && count < pattern.from + pattern.count;
      case "half":
        return random.chance(0.5);
      case "always":
        return true;
    }
  };
  const state: Injector = {
    rules,
    active: true,
    hidden,
    choose: (exchange) => {
      if (!state.active) return undefined;
      const rule = rules.find((candidate) => strikes(candidate, exchange));
      if (rule === undefined) return undefined;
      if (rule.fault.hides !== undefined) hidden.add(rule.fault.hides);
      ledger.count(rule.fault.name);
      return rule.fault;
    },
  };
  return state;
}
