import fc from 'fast-check';

/** Hostile JSON values: nested ones, and ones with special keys and numbers. */
export const hostileJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(-1, 2 ** 53, 1e300, '\ud800', '\0', '', 'x'.repeat(70_000), [], {}, null),
  fc.constant(JSON.parse('{"__proto__":{"view":1},"constructor":5}')),
);

/** Returns the value with one part at any depth replaced. */
export function withOnePartReplaced(value: unknown): fc.Arbitrary<unknown> {
  return fc.tuple(fc.infiniteStream(fc.nat()), hostileJson).map(([numbers, other]) => {
    const next = (count: number) => Number(numbers.next().value) % count;
    const replaced = (part: unknown): unknown => {
      if (typeof part !== 'object' || part === null || next(4) === 0) return other;
      const keys = Object.keys(part);
      if (keys.length === 0) return other;
      const key = keys[next(keys.length)]!;
      const changed = { [key]: replaced((part as Record<string, unknown>)[key]) };
      return Array.isArray(part) ? Object.assign([...part], changed) : { ...part, ...changed };
    };
    return replaced(value);
  });
}
