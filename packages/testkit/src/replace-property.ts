/**
 * Replaces a property in this process, until the returned function is called. For constants of classes, so that a test
 * reaches a limit with few reports: no operator and no caller in the product sets them.
 */
export function replaceProperty<T extends object, K extends keyof T>(owner: T, name: K, value: T[K]): () => void {
  const original = owner[name];
  owner[name] = value;
  return () => {
    owner[name] = original;
  };
}
