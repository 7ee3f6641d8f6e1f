/** The value of an own property whose key comes from outside. `constructor` and `__proto__` are ordinary keys here. */
export function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
