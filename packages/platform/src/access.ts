/**
 * What a list of granted patterns allows. Shared by ingest (may this device be published?) and fanout (may this channel be seen?).
 *
 * One `Rights` a token: keep it with the connection or beside the verified claims, not one a message.
 */
export interface Rights {
  /** Whether this device, a checked path, is granted. One look-up for a device seen before. */
  allowsDevice(path: string): boolean;
  /** Whether everything that this channel, a checked pattern, means is granted. */
  allowsChannel(pattern: string): boolean;
}

/** Answers kept a token. At 50 bytes a path about 100 KB; a token that goes over more devices is answered without memory. */
const rememberedMax = 1_024;

export function rightsFrom(patterns: readonly string[]): Rights {
  // The usual tokens, all or nothing, need no memory.
  if (patterns.includes('>')) return { allowsDevice: () => true, allowsChannel: () => true };
  if (patterns.length === 0) return { allowsDevice: () => false, allowsChannel: () => false };
  const remembered = new Map<string, boolean>();
  const allows = within(patterns);
  return {
    allowsDevice(path) {
      const known = remembered.get(path);
      if (known !== undefined) return known;
      const allowed = allows(path);
      // Full: not emptied, since a sweep over many devices would only push out what is in use.
      if (remembered.size < rememberedMax) remembered.set(path, allowed);
      return allowed;
    },
    allowsChannel: allows,
  };
}

/**
 * Whether a path or a pattern is one of these patterns, or lies within one: costs a look-up for each of its segments,
 * however many patterns there are. As `patternMatches` and `patternCovers` for each of them.
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
