/** Where a failure belongs: it decides the exit code and the colour, never the retry. */
export type ErrorClass =
  | "usage" // the command line or the configuration
  | "credentials" // who we are was refused, or could not be told safely
  | "policy" // a rule of ours or of the registry says no; asking again changes nothing
  | "source" // the registry, layout or image we read
  | "target" // the registry, layout or cluster we write
  | "environment"; // this machine: disk, network, proxy, Node

export type CodeFacts = {
  readonly class: ErrorClass;
  /** What it means, for `docs/errors.md`. */
  readonly meaning: string;
  /** What the reader does next. */
  readonly next: string;
  /** `again`: the same request may succeed now. `later`: when the registry says so, or at the next run. */
  readonly retry?: "again" | "later";
};
