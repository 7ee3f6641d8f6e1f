/**
 * What is known about HEAD requests for manifests. All repositories of a registry share it.
 *
 * Nexus answers 404 to every HEAD and 200 to the GET. Other registries have no HEAD, or send no digest. Then GET is
 * used for an hour, until `unusableUntilMs` (`performance.now()`). Once a HEAD has found something, its 404 is trusted
 * (`isTruthful`).
 */
export type HeadMemory = { unusableUntilMs: number; isTruthful: boolean };
