/**
 * What was learned about a registry's HEAD of manifests, shared by all of its repositories.
 *
 * Nexus answers 404 to every HEAD and 200 to the GET; others have no HEAD, or send no digest. Then GET is used for an hour
 * (`unusableUntilMs`, by `performance.now()`). A registry whose HEAD found something once is believed when it answers 404.
 */
export type HeadMemory = { unusableUntilMs: number; isTruthful: boolean };
