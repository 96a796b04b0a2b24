/** Generators of valid and of hostile values of the protocol. */
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import type { Delivery, Quality, Reading, Report, ReportClock } from '../src/report.ts';
import { reportLimits } from '../src/report-limits.ts';

/** The same cases in every run; a failure prints its own seed and path. */
export const seeded = fuzzed();

const segmentCharacters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-'];

export const segment = fc.string({ unit: fc.constantFrom(...segmentCharacters), minLength: 1, maxLength: 24 });
export const devicePath = fc.array(segment, { minLength: 1, maxLength: 8 }).map((segments) => segments.join('.'));

/** Paths of few distinct segments, so that patterns match them. */
const fewSegments = fc.array(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 5 });
export const nearPath = fewSegments.map((segments) => segments.join('.'));
export const nearPattern = fc.oneof(
  nearPath,
  nearPath.map((path) => `${path}.>`),
  fc.constant('>'),
);

/**
 * Any character that UTF-8 can encode, more often short ones. Not fast-check's unit `binary`: its tables take 0.4 s to
 * build.
 */
export const character = fc
  .oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0x100, max: 0x10f7ff }))
  .map((code) => String.fromCodePoint(code < 0xd800 ? code : code + 0x800));

const hasControl = (text: string) => /\p{Cc}/u.test(text);
const plainText = (maxLength: number, minLength = 0) =>
  fc.string({ unit: character, minLength, maxLength }).filter((text) => !hasControl(text) && text.length <= maxLength);

const time = fc.oneof(
  fc.integer({ min: 0, max: reportLimits.timeMsMax }),
  fc.double({ min: 0, max: reportLimits.timeMsMax, noNaN: true }).map((value) => value + 0),
);
/** Without -0, which is 0 in JSON. */
const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);

export const reading: fc.Arbitrary<Reading> = fc.record(
  {
    tag: plainText(40, 1),
    value: fc.oneof(
      finite,
      fc.boolean(),
      fc.string({ unit: character, maxLength: 60 }).filter((text) => !text.includes('\0')),
    ),
    unit: plainText(10, 1),
    quality: fc.constantFrom<Quality>('uncertain', 'bad'),
    time,
  },
  { requiredKeys: ['tag', 'value'], noNullPrototype: true },
);

/** Reports in normal form: without default values. */
export const report: fc.Arbitrary<Report> = fc.record(
  {
    device: devicePath,
    time,
    readings: fc.array(reading, { minLength: 1, maxLength: 6 }),
    id: plainText(16, 1),
    received: time.filter((value) => value > 0),
    clock: fc.constantFrom<ReportClock>('ahead', 'ingest'),
    historical: fc.constant(true),
  },
  { requiredKeys: ['device', 'time', 'readings'], noNullPrototype: true },
);

/** Times that a sender may use: their unit is unambiguous. */
const sourceTime = fc.double({ min: 1e11, max: 9.99e13, noNaN: true });

/** Reports of a sender, in normal form. */
export const sentReport: fc.Arbitrary<Report> = fc
  .tuple(report, sourceTime)
  .map(([{ received: _, clock: __, ...sent }, timeMs]) => ({
    ...sent,
    time: timeMs,
    readings: sent.readings.map((each) => (each.time === undefined ? each : { ...each, time: timeMs })),
  }));

export const partition = fc.integer({ min: 0, max: 4095 });
export const seq = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.maxSafeNat().map((at) => Math.min(at, Number.MAX_SAFE_INTEGER - 1)),
);
export const delivery: fc.Arbitrary<Delivery> = fc
  .tuple(report, partition, seq)
  .map(([value, inPartition, at]) => ({ ...value, partition: inPartition, seq: at }));

/** Hostile values: any JSON value, keys that are special in JavaScript, huge numbers, lone surrogates. */
export const anyJson = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.anything({ key: fc.constantFrom('__proto__', 'constructor', 'toString', 'device', 'tag', 'id'), maxDepth: 4 }),
  fc.constantFrom<unknown>(
    1e308,
    Number.POSITIVE_INFINITY,
    -1,
    2 ** 53,
    '\ud800',
    '\udc00x',
    '\0',
    '',
    'x'.repeat(70_000),
  ),
);

/** Returns the value with one part at any depth replaced, removed or added. */
export function mutated(value: unknown): fc.Arbitrary<unknown> {
  return fc.tuple(fc.infiniteStream(fc.nat()), anyJson).map(([numbers, other]) => {
    const next = (count: number) => (numbers.next().value as number) % count;
    const walk = (part: unknown): unknown => {
      if (typeof part !== 'object' || part === null || next(4) === 0) return other;
      if (Array.isArray(part)) {
        const at = next(part.length + 1);
        return at === part.length ? [...part, other] : part.with(at, walk(part[at]));
      }
      const entries = Object.entries(part);
      const at = next(entries.length + 2);
      const entry = entries[at];
      if (entry !== undefined) entries[at] = [entry[0], walk(entry[1])];
      else if (at === entries.length) entries.push([['__proto__', 'constructor', 'quality', 'x'][next(4)]!, other]);
      else entries.splice(next(entries.length + 1), 1);
      // fromEntries makes `__proto__` an own key, as JSON.parse does.
      return Object.fromEntries(entries);
    };
    return walk(value);
  });
}

/** Returns the bytes with some changed, removed or inserted. */
export function mutatedBytes(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    at: fc.nat({ max: bytes.length }),
    remove: fc.nat({ max: 3 }),
    insert: fc.uint8Array({ maxLength: 4 }),
  });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    let result = [...bytes];
    for (const { at, remove, insert } of changes) result = result.toSpliced(at, remove, ...insert);
    return Uint8Array.from(result);
  });
}
