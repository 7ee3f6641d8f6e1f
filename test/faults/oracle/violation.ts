/** The promises that are checked. A violation has one promise and what was seen. */
export type ViolationKind =
  | "wrong bytes"
  | "incomplete tag"
  | "behind the source"
  | "went back"
  | "lost referrer"
  /** A referrer that was pushed after its image was in place, or that was always missing. */
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
