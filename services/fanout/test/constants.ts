/**
 * Replaces a constant of a class in this process, until the returned function is called: so that a test reaches a limit
 * with few reports.
 */
export function replaceConstant<T extends object, K extends keyof T>(owner: T, name: K, value: T[K]): () => void {
  const original = owner[name];
  owner[name] = value;
  return () => {
    owner[name] = original;
  };
}
