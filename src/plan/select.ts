/** One tag of the source, and why it is wanted or not. */
export type Explained = {
  readonly tag: string;
  readonly kept: boolean;
  /** The rule that decided, as the configuration writes it: `semver: ">=1.25 <2"`, `exclude: "*-rc*"`, `newest: 3`. */
  readonly rule: string;
};
