import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { lineBytesMax, NdjsonLines } from './ndjson-lines.ts';

interface Found {
  readonly text: string;
  readonly line: number;
  /** Offset of the byte behind the line. */
  readonly offset: number;
}

/** Adds the parts, and reads all lines after each. */
function linesOf(parts: readonly Uint8Array[]): Found[] {
  const lines = new NdjsonLines();
  const found: Found[] = [];
  const read = () => {
    for (let line = lines.next(); line !== undefined; line = lines.next())
      found.push({ text: line === 'too_long' ? line : line.toString(), line: lines.line, offset: lines.offset });
  };
  for (const part of parts) {
    lines.add(part);
    read();
  }
  lines.end();
  read();
  assert.equal(lines.waitingBytes, 0);
  return found;
}

/** The same of the whole text. */
function expectedOf(text: Buffer): Found[] {
  const found: Found[] = [];
  for (let from = 0, line = 1; from < text.length; line++) {
    const feed = text.indexOf(0x0a, from);
    const end = feed === -1 ? text.length : feed;
    const offset = Math.min(end + 1, text.length);
    const isTooLong = end - from > lineBytesMax;
    found.push({ text: isTooLong ? 'too_long' : text.toString('utf8', from, end), line, offset });
    from = end + 1;
  }
  return found;
}

test('lines are found wherever the text is divided', () => {
  const text = Buffer.from('{"ü":1}\n\n{"a":2}\r\n{"b":3}');
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      const parts = [text.subarray(0, first), text.subarray(first, second), text.subarray(second)];
      assert.deepEqual(linesOf(parts), expectedOf(text));
    }
  }
  assert.deepEqual(linesOf([...text].map((byte) => Uint8Array.of(byte))), expectedOf(text));
});

test('lines of any length are found in parts of any length, and only too long ones are dropped', () => {
  const lengths = fc.oneof(
    fc.nat({ max: 30 }),
    fc.integer({ min: lineBytesMax - 2, max: lineBytesMax + 2 }),
    fc.nat({ max: 900_000 }),
  );
  const partLength = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1_000, max: 200_000 }));
  fc.assert(
    fc.property(
      fc.array(lengths, { minLength: 1, maxLength: 5 }),
      fc.array(partLength, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      (lineLengths, partLengths, hasLastFeed) => {
        const texts = lineLengths.map((length, index) => String.fromCharCode(97 + index).repeat(length));
        const text = Buffer.from(texts.join('\n') + (hasLastFeed ? '\n' : ''));
        const parts: Buffer[] = [];
        for (let at = 0, index = 0; at < text.length; index++) {
          // Short parts alone would take too many calls.
          const length = partLengths[index % partLengths.length]! * (index > 200 ? 100 : 1);
          parts.push(text.subarray(at, at + length));
          at += length;
        }
        assert.deepEqual(linesOf(parts), expectedOf(text));
      },
    ),
    fuzzed(60),
  );
});

test('a line that is too long takes bounded memory and time, in parts of a byte, too', () => {
  const lines = new NdjsonLines();
  const byte = Uint8Array.of(0x61);
  for (let count = 0; count < 3 * lineBytesMax; count++) {
    lines.add(byte);
    assert.equal(lines.next(), undefined);
    assert.ok(lines.waitingBytes <= lineBytesMax);
  }
  lines.add(Buffer.from('\n{}\n'));
  assert.equal(lines.next(), 'too_long');
  assert.equal(lines.offset, 3 * lineBytesMax + 1);
  assert.equal(lines.next()?.toString(), '{}');
  assert.equal(lines.line, 2);
  assert.equal(lines.next(), undefined);
});

test('a text that stops within a line that is too long has that line', () => {
  assert.deepEqual(
    linesOf([Buffer.alloc(lineBytesMax + 1, 'x')]).map(({ text }) => text),
    ['too_long'],
  );
});

test('lines stay valid until the next part is added', () => {
  const lines = new NdjsonLines();
  lines.add(Buffer.from('one\ntwo\nthr'));
  const [one, two] = [lines.next(), lines.next()];
  assert.equal(lines.next(), undefined);
  assert.deepEqual([String(one), String(two)], ['one', 'two']);
});
