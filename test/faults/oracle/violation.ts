/** The promises that are checked. A violation names one, and what was seen. */
export type ViolationKind =
  | "wrong bytes"
  | "incomplete tag"
  | "behind the source"
  | "went back"
  | "lost referrer"
  /** A referrer that came after its image was in place, or that an image in place always lacked. */
  | "late referrer"
  | "false success"
  | "false failure"
  | "untruthful report"
  | "untruthful state"
  | "hang"
  | "held up by a dead mirror"
  | "crash"
  | "clean run failed"
  | "deleted"
  | "wrote what nobody asked for"
  | "wrote again";

export type Violation = {
  readonly kind: ViolationKind;
  /** When it was seen: during a faulty run, or at the end. */
  readonly when: string;
  readonly what: string;
};
