/**
 * What a request does with a repository. If there are several scopes, the most important one is first, because some
 * servers read only the first.
 */
export type Scope = { readonly repository: string; readonly actions: readonly ("pull" | "push")[] };

/** Scopes in the format of token servers: one per repository, with merged and sorted actions, in the given order. */
export function mergeScopes(scopes: readonly Scope[]): readonly string[] {
  const actions = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const known = actions.get(scope.repository) ?? new Set();
    for (const action of scope.actions) known.add(action);
    actions.set(scope.repository, known);
  }
  return [...actions].map(
    ([repository, known]) => `repository:${repository}:${[...known].toSorted().join(",")}`,
  );
}
