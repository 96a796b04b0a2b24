/**
 * Replaces a property in this process, until the returned function is called. For methods, and for constants that no
 * caller in the product sets, so that a test reaches a limit with few reports. Such a constant is a static field of its
 * class, of type `number`.
 */
export function replaceProperty<T extends object, K extends keyof T>(owner: T, name: K, value: T[K]): () => void {
  const original = owner[name];
  owner[name] = value;
  return () => {
    owner[name] = original;
  };
}
