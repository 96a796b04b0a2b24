import { shown, TailraceError } from './error.ts';
import { invalidPathReason, pathLimits } from './path.ts';

/** Bound of a pattern: a device path and `.>`. */
export const patternBytesMax: number = pathLimits.bytesMax + 2;

/**
 * Asserts a pattern: a device path (that device), a path followed by `.>` (every device below it at any depth, not
 * itself), or `>` (all devices). Channels and the permissions of tokens are patterns. Throws `invalid_pattern`.
 */
export function assertPattern(value: unknown): asserts value is string {
  const reason =
    typeof value === 'string' ? invalidPatternReason(value) : `it is ${value === null ? 'null' : typeof value}`;
  if (reason === undefined) return;
  throw new TailraceError(
    'invalid_pattern',
    'pattern: expected a device path ("plant1.line3.press7"), a path followed by ".>" for all devices below it ' +
      `("plant1.line3.>"), or ">" for all devices, got ${shown(value)}: ${reason}`,
  );
}

export function isPattern(value: unknown): value is string {
  return typeof value === 'string' && invalidPatternReason(value) === undefined;
}

function invalidPatternReason(text: string): string | undefined {
  if (text === '>') return undefined;
  return invalidPathReason(text, text.endsWith('.>') ? text.length - 2 : text.length);
}

/** Returns whether the pattern can match more than one device. */
export function isSubtree(pattern: string): boolean {
  return pattern.endsWith('>');
}

/** Returns whether the pattern matches the device. Both must be valid. */
export function patternMatches(pattern: string, path: string): boolean {
  return pattern.endsWith('>') ? isIn(pattern, path) : pattern === path;
}

/** Returns whether `outer` matches every device that `inner` matches: a token with `outer` may subscribe to `inner`. */
export function patternCovers(outer: string, inner: string): boolean {
  // A plain path covers only itself; `a.>` covers `a.b`, `a.b.>` and itself, which all start with `a.`; `>` covers all.
  return outer === inner || (outer.endsWith('>') && isIn(outer, inner));
}

/** Returns whether the path or pattern starts with the text before the `>`, the dot included. */
function isIn(subtree: string, path: string): boolean {
  return path.startsWith(subtree.slice(0, -1));
}
