/** What a request does to a repository. The first of several is the one that is needed most: some servers look at no other. */
export type Scope = { readonly repository: string; readonly actions: readonly ("pull" | "push")[] };

/** Scopes as token servers read them, one per repository, actions united and sorted, order kept. */
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
