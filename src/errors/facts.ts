/** What a failure is about. It decides the exit code and the color, never the retry. */
export type ErrorClass =
  | "usage" // the command line or the configuration
  | "credentials" // credentials were refused, or could not be sent safely
  | "policy" // forbidden by our configuration or by the registry; a retry changes nothing
  | "source" // the registry, layout or image that is read
  | "target" // the registry, layout or cluster that is written
  | "environment"; // this machine: disk, network, proxy, Node

export type CodeFacts = {
  readonly class: ErrorClass;
  /** The explanation in `docs/errors.md`. */
  readonly meaning: string;
  /** What the user should do next. */
  readonly next: string;
  /**
   * `again`: the same request may succeed now. `later`: it may succeed when the registry says so, or at the next run.
   */
  readonly retry?: "again" | "later";
};
