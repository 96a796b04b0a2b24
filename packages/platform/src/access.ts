/**
 * What a list of granted patterns allows: in ingest to publish a device, in fanout to subscribe to a channel.
 *
 * Create one per token, not one per message.
 */
export interface Rights {
  /** Returns whether the device, a valid path, is granted. Costs one lookup for a device in the cache. */
  allowsDevice(path: string): boolean;
  /** Returns whether all devices of the channel, a valid pattern, are granted. */
  allowsChannel(pattern: string): boolean;
}

/** Results cached per token, about 100 KB at 50 bytes a path. Those of further devices are computed each time. */
const cachedMax = 1_024;

export function rightsFrom(patterns: readonly string[]): Rights {
  // The usual tokens, all or nothing, need no cache.
  if (patterns.includes('>')) return { allowsDevice: () => true, allowsChannel: () => true };
  if (patterns.length === 0) return { allowsDevice: () => false, allowsChannel: () => false };
  const cached = new Map<string, boolean>();
  const allows = within(patterns);
  return {
    allowsDevice(path) {
      const known = cached.get(path);
      if (known !== undefined) return known;
      const allowed = allows(path);
      // Not emptied when full: a scan over many devices would only evict what is in use.
      if (cached.size < cachedMax) cached.set(path, allowed);
      return allowed;
    },
    allowsChannel: allows,
  };
}

/**
 * Returns whether a path or a pattern is one of the patterns, or within one, as `patternMatches` and `patternCovers` do
 * for each. Costs one set lookup for each of its segments, for any number of patterns.
 */
function within(patterns: readonly string[]): (text: string) => boolean {
  const same = new Set(patterns);
  const prefixes = new Set(patterns.filter((pattern) => pattern.endsWith('>')).map((pattern) => pattern.slice(0, -1)));
  return (text) => {
    if (same.has(text)) return true;
    for (let end = text.indexOf('.'); end !== -1; end = text.indexOf('.', end + 1)) {
      if (prefixes.has(text.slice(0, end + 1))) return true;
    }
    return false;
  };
}
