import { shown, TailraceError } from './error.ts';
import { pathFault, pathLimits } from './path.ts';

/** A pattern's bound: a device path, and `.>`. */
export const patternBytesMax: number = pathLimits.bytesMax + 2;

/**
 * A pattern says which devices are meant: a device path (that device), a path followed by `.>` (every device below it, at any
 * depth, not itself), or `>` (all). Channels of subscriptions and rights in tokens are patterns. Throws `invalid_pattern`.
 */
export function assertPattern(value: unknown): asserts value is string {
  const fault = typeof value === 'string' ? patternFault(value) : `it is ${value === null ? 'null' : typeof value}`;
  if (fault === undefined) return;
  throw new TailraceError(
    'invalid_pattern',
    `${shown(value)} is not a pattern: ${fault}; right is a device path ("plant1.line3.press7"), ` +
      'a path followed by ".>" for all below it ("plant1.line3.>"), or ">" for all',
  );
}

export function isPattern(value: unknown): value is string {
  return typeof value === 'string' && patternFault(value) === undefined;
}

function patternFault(text: string): string | undefined {
  if (text === '>') return undefined;
  return pathFault(text, text.endsWith('.>') ? text.length - 2 : text.length);
}

/** Whether the pattern means more than one device. */
export function isSubtree(pattern: string): boolean {
  return pattern.endsWith('>');
}

/** Whether the device is meant. Both are checked ones. */
export function patternMatches(pattern: string, path: string): boolean {
  return pattern.endsWith('>') ? isIn(pattern, path) : pattern === path;
}

/** Whether every device that `inner` means is meant by `outer`: what a token with the right `outer` may subscribe to. */
export function patternCovers(outer: string, inner: string): boolean {
  // A plain path covers only itself; `a.>` covers `a.b`, `a.b.>` and itself, which all start with `a.`; `>` covers all.
  return outer === inner || (outer.endsWith('>') && isIn(outer, inner));
}

/** Whether the path or pattern starts with what stands before the `>`, the dot included. */
function isIn(subtree: string, path: string): boolean {
  return path.startsWith(subtree.slice(0, -1));
}
